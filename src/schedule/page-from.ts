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

/** Pages that are worked on after the first one, as long as there is time. */
const MORE_PAGES = 20;
/** Items of a page that are worked on at once. */
const AT_ONCE = 16;

/**
 * Works on the first page of a list, and on some more in turn: a note says where the next tick continues. Without more than a page there
 * is no note.
 * @param isOver no further page then
 */
export async function workInTurn<T>(
  store: Notes,
  note: string,
  isOver: () => boolean,
  list: (from?: string) => Promise<Page<T>>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const workOn = async (items: readonly T[]): Promise<void> => {
    for (let at = 0; at < items.length; at += AT_ONCE) await Promise.all(items.slice(at, at + AT_ONCE).map(work));
  };
  const { items, next: second } = await list();
  await workOn(items);
  if (second === undefined) return;
  const kept = await store.getNote(note);
  let from: string | undefined = kept?.value ?? second;
  for (let pages = 0; pages < MORE_PAGES && from !== undefined && !isOver(); pages += 1) {
    const page: Page<T> = await pageFrom(from, list);
    await workOn(page.items);
    from = page.next;
  }
  await store.putNote(note, from ?? second, kept?.version);
}
