import type { LeftOut } from '../../oci/index.js';

const WHY = {
  gone: 'it is listed, but missing',
  image: 'it is or holds an image',
  'not-its-subject': 'it refers to something else',
  unreadable: 'its manifest cannot be read',
};

/** A warning for each referrer that the source lists and that was not copied. Referrers that a rule excludes are not reported. */
export function formatLeftOut(source: string, leftOut: readonly LeftOut[]): string {
  return leftOut
    .flatMap(({ digest, reason }) =>
      reason === 'excluded' ? [] : [`Warning: ${source}@${digest} was not copied: ${WHY[reason]}\n`],
    )
    .join('');
}
