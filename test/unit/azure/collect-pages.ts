import type { Page, PageOptions } from '../../../src/ports/page.js';

/** Returns the items of each page of a list. */
export async function collectPages<T>(list: (options: PageOptions) => Promise<Page<T>>, size: number): Promise<T[][]> {
  const pages: T[][] = [];
  for (let from: string | undefined; ;) {
    const page = await list({ size, ...(from !== undefined && { from }) });
    pages.push(page.items);
    if (page.next === undefined) {
      return pages;
    }
    from = page.next;
  }
}
