import { PromoterError } from '../oci/index.js';

/** Tries of one conditional write. `ROW_CONTENDED` */
const ROW_TRIES = 60;

function contended(id: string): PromoterError {
  return new PromoterError('ROW_CONTENDED', `promotion ${id} is written by many at once`, {
    transient: true,
    remedy: 'It is tried again; nothing was lost.',
  });
}

/** Tries a conditional write again, with the row read anew, until it is done. */
export async function untilWritten<T>(id: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < ROW_TRIES; tries += 1) {
    const done = await attempt();
    if (done !== undefined) return done;
    await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(20 * 2 ** tries, 1000)));
  }
  throw contended(id);
}
