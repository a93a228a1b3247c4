import { promotionId, type Rule } from '../rules/rule.js';
import { listedTag } from '../rows/lists.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { PromotionLists } from '../ports/promotion-lists.js';
import type { Promotions } from '../ports/promotions.js';

/** Rows per request. */
const PAGE_ROWS = 100;

/**
 * The promotion rows of one rule and repository, by tag, read as a list with a hundred rows per request. A row can be
 * missing if the list changes while it is read, so read a row again before acting on it.
 */
export class PromotionRows {
  readonly #store: Promotions & PromotionLists;
  readonly #rule: Rule;
  readonly #repository: string;
  readonly #begin: { afterTag?: string; fromTag?: string };
  #read: PromotionRow[] = [];
  #from: string | undefined;
  #isOver = false;

  constructor(
    store: Promotions & PromotionLists,
    rule: Rule,
    repository: string,
    begin: { afterTag?: string; fromTag?: string } = {},
  ) {
    this.#store = store;
    this.#rule = rule;
    this.#repository = repository;
    this.#begin = begin;
  }

  /** Returns the rows up to a tag that were not returned before, by tag; all remaining rows if no tag is given. */
  async upTo(tag: string | undefined): Promise<Map<string, PromotionRow>> {
    const rows = new Map<string, PromotionRow>();
    for (;;) {
      const [row] = this.#read;
      if (row === undefined) {
        if (this.#isOver) return rows;
        await this.#readPage();
        continue;
      }
      if (tag !== undefined && listedTag(row.source.tag) > listedTag(tag)) return rows;
      rows.set(row.source.tag, row);
      this.#read.shift();
    }
  }

  /** Returns the next page of rows; empty at the end. */
  async nextPage(): Promise<PromotionRow[]> {
    while (this.#read.length === 0 && !this.#isOver) await this.#readPage();
    const rows = this.#read;
    this.#read = [];
    return rows;
  }

  async #readPage(): Promise<void> {
    const filter = {
      rule: this.#rule.name,
      registry: this.#rule.source.registry,
      repository: this.#repository,
      ...this.#begin,
    };
    const from = this.#from;
    const page = await this.#store.listPromotions({ size: PAGE_ROWS, filter, ...(from !== undefined && { from }) });
    this.#read = page.items;
    this.#from = page.next;
    this.#isOver = page.next === undefined;
  }

  /** Reads one row as it is at this moment. */
  async now(tag: string): Promise<PromotionRow | undefined> {
    const source = { registry: this.#rule.source.registry, repository: this.#repository, tag };
    return (await this.#store.getPromotion(promotionId(this.#rule.name, source)))?.value;
  }
}
