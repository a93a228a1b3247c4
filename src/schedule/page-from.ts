import { InputError } from '../oci/index.js';

/** A page of a list from where a note says; from the start where that is of another version. */
export async function pageFrom<T>(from: string | undefined, list: (from?: string) => Promise<T>): Promise<T> {
  try {
    return await list(from);
  } catch (error) {
    if (!(error instanceof InputError) || from === undefined) throw error;
    return list();
  }
}
