import { InputError } from '../oci/index.js';
import type { Notes } from '../ports/notes.js';
import type { Page } from '../ports/page.js';

/** A page of a list from where a note says; from the start where that is of another version. */
export async function pageFrom<T>(from: string | undefined, list: (from?: string) => Promise<T>): Promise<T> {
  try {
    return await list(from);
  } catch (error) {
    if (!(error instanceof InputError) || from === undefined) throw error;
    return list();
  }
}

/**
 * The first page of a list, and some more in turn: a note says where the next tick goes on. Without more than a page there is no note.
 * @param more pages after the first one
 */
export async function* pagesInTurn<T>(
  store: Notes,
  note: string,
  more: number,
  list: (from?: string) => Promise<Page<T>>,
): AsyncGenerator<T, void, undefined> {
  const { items, next: second } = await list();
  yield* items;
  if (second === undefined) return;
  const kept = await store.getNote(note);
  let from: string | undefined = kept?.value ?? second;
  for (let pages = 0; pages < more && from !== undefined; pages += 1) {
    const page: Page<T> = await pageFrom(from, list);
    yield* page.items;
    from = page.next;
  }
  await store.putNote(note, from ?? second, kept?.version);
}
