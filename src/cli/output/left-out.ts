import type { LeftOut } from '../../oci/index.js';

const WHY = {
  gone: 'it is listed, and not there',
  image: 'it is or holds an image',
  'not-its-subject': 'it refers to something else',
  unreadable: 'it is no manifest that can be read here',
};

/** A line for each referrer that a source lists and that could not be copied. What was left out on purpose needs no word. */
export function formatLeftOut(source: string, leftOut: readonly LeftOut[]): string {
  return leftOut
    .flatMap(({ digest, reason }) =>
      reason === 'excluded' ? [] : [`Warning: ${source}@${digest} was not copied: ${WHY[reason]}\n`],
    )
    .join('');
}
