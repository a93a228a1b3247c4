import type { Rule } from '../rules/rule.js';
import { listedTag } from '../rows/lists.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { PromotionLists } from '../ports/promotion-lists.js';

/** Rows per request. */
const PAGE_ROWS = 100;

/**
 * The promotion rows of one rule and repository, by tag, read as a list with a hundred rows per request. A row can be
 * missing if the list changes while it is read, so read a row again before acting on it.
 */
export async function* promotionRows(
  store: PromotionLists,
  { name: rule, source: { registry } }: Rule,
  repository: string,
  begin: { afterTag?: string | undefined; fromTag?: string | undefined },
): AsyncGenerator<PromotionRow, undefined> {
  const filter = { rule, registry, repository, ...begin };
  let from: string | undefined;
  do {
    const page = await store.listPromotions({ size: PAGE_ROWS, filter, from });
    yield* page.items;
    from = page.next;
  } while (from !== undefined);
}

/** Reads {@link promotionRows} in step with a list of tags. */
export class RowsInStep {
  readonly #rows: AsyncGenerator<PromotionRow, undefined>;
  /** A row that was read and not returned yet. */
  #next: PromotionRow | undefined;

  constructor(rows: AsyncGenerator<PromotionRow, undefined>) {
    this.#rows = rows;
  }

  /** Returns the rows up to a tag that were not returned before, by tag; all remaining rows if no tag is given. */
  async upTo(tag: string | undefined): Promise<Map<string, PromotionRow>> {
    const rows = new Map<string, PromotionRow>();
    for (;;) {
      this.#next ??= (await this.#rows.next()).value;
      if (this.#next === undefined) return rows;
      if (tag !== undefined && listedTag(this.#next.source.tag) > listedTag(tag)) return rows;
      rows.set(this.#next.source.tag, this.#next);
      this.#next = undefined;
    }
  }
}
