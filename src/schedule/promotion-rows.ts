import { promotionId } from '../rules/promotion-id.js';
import type { Rule } from '../rules/rule.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { PromotionLists } from '../ports/promotion-lists.js';
import type { Promotions } from '../ports/promotions.js';

/** Rows of one repository that are read as a list; for tags beyond, each row is read by itself. */
const MOST_LISTED_ROWS = 20_000;

/**
 * The rows of one rule's promotions from one repository: read as a list, a hundred a request, rather than one by one. A list
 * that moves while it is read may lack one: whoever acts upon a row reads it again.
 */
export class PromotionRows {
  readonly #store: Promotions & PromotionLists;
  readonly #rule: Rule;
  readonly #repository: string;
  readonly #rows = new Map<string, PromotionRow>();
  #isWhole = false;

  constructor(store: Promotions & PromotionLists, rule: Rule, repository: string) {
    this.#store = store;
    this.#rule = rule;
    this.#repository = repository;
  }

  async read(): Promise<void> {
    const filter = { rule: this.#rule.name, registry: this.#rule.source.registry, repository: this.#repository };
    let from: string | undefined;
    do {
      const page = await this.#store.listPromotions({ size: 100, filter, ...(from !== undefined && { from }) });
      for (const row of page.items) this.#rows.set(row.source.tag, row);
      from = page.next;
    } while (from !== undefined && this.#rows.size < MOST_LISTED_ROWS);
    this.#isWhole = from === undefined;
  }

  async of(tag: string): Promise<PromotionRow | undefined> {
    const row = this.#rows.get(tag);
    return row !== undefined || this.#isWhole ? row : this.now(tag);
  }

  /** As it is now, whatever the list said. */
  async now(tag: string): Promise<PromotionRow | undefined> {
    const source = { registry: this.#rule.source.registry, repository: this.#repository, tag };
    return (await this.#store.getPromotion(promotionId(this.#rule.name, source)))?.value;
  }
}
