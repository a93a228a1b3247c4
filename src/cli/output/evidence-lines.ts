import { isRecord } from '../../oci/index.js';
import { onTerminal } from './status-line.js';

// Lines about SBOMs and signatures, made locally or by the app.

/** An image's SBOM, or why it gets none. */
export interface SbomOfImage {
  digest: string;
  /** `linux/amd64`, or the media type if it is not an image. */
  label: string;
  /** The first of {@link sboms}. */
  sbom?: string;
  /** Format, digest, and whether it was made, of each. */
  sboms?: unknown[];
  /** False if it existed. */
  made?: boolean;
  why?: string;
}

/** @param what describes an SBOM that was made; its digest by default */
export function sbomLine({ label, sbom = '', sboms = [], made = false, why }: SbomOfImage, what = sbom): string {
  if (sbom === '') return `Skipped  ${onTerminal(label)}${why === undefined ? '' : `: ${onTerminal(why)}`}`;
  const named = sboms.flatMap((each) => (isRecord(each) && typeof each.digest === 'string' ? [each.digest] : []));
  const digests = named.length > 0 ? named : [sbom];
  return `${made ? 'Attached' : 'Exists  '} ${onTerminal(label)}: ${onTerminal(made ? what : digests.join(', '))}`;
}

/** The last lines of `sbom`. @param where `[registry] r.io/app@sha256:…` */
export function sbomSummary(images: readonly SbomOfImage[], where: string, digest: string): string {
  return images.some(({ sbom }) => sbom !== undefined) ? `Attached to ${where}\nDigest: ${digest}\n` : '';
}
