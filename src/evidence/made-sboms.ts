import { z } from 'zod';
import { isDigest, type Descriptor, type Digest } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import { untilWritten } from '../rows/row-writes.js';

/** Maximum recorded SBOMs of one image: for each repository that it was promoted from, one of each format and version. */
const MOST_MADE_SBOMS = 1_000;

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');
const madeSchema = z.object({
  sboms: z.array(
    z.object({
      mediaType: z.string(),
      digest,
      size: z.number().int().nonnegative(),
      /** Media type of the format. */
      artifactType: z.string(),
      /** `acr-promoter/0.1.0` */
      tool: z.string(),
    }),
  ),
});

/** The record of an SBOM that this app made. */
export type MadeSbom = z.infer<typeof madeSchema>['sboms'][number];

function nameOf(image: Pick<Descriptor, 'digest'>): string {
  return `sboms/${image.digest.replace(':', '-')}.json`;
}

/** An unreadable record counts as empty. The SBOMs are then made again, with the same bytes. */
function parse(bytes: Uint8Array | undefined): MadeSbom[] {
  try {
    return madeSchema.parse(JSON.parse(Buffer.from(bytes ?? []).toString('utf8'))).sboms;
  } catch {
    return [];
  }
}

/** The SBOMs that this app made of an image, in any repository, newest first. */
export async function sbomsMadeOf(
  { documents }: Pick<Ports, 'documents'>,
  image: Pick<Descriptor, 'digest'>,
): Promise<MadeSbom[]> {
  return parse(await documents.get('documents', nameOf(image)));
}

/** Records an SBOM as made by this app, before it is pushed. */
export async function noteMadeSbom(
  { documents }: Pick<Ports, 'documents'>,
  image: Pick<Descriptor, 'digest'>,
  made: MadeSbom,
): Promise<void> {
  await untilWritten(image.digest, async () => {
    const found = await documents.getVersioned('documents', nameOf(image));
    const before = parse(found?.value);
    if (before.some((sbom) => sbom.digest === made.digest)) return true;
    const { mediaType, digest, size, artifactType, tool } = made;
    const sboms = [{ mediaType, digest, size, artifactType, tool }, ...before].slice(0, MOST_MADE_SBOMS);
    const bytes = Buffer.from(JSON.stringify({ sboms }));
    return documents.putVersioned('documents', nameOf(image), bytes, found?.version);
  });
}
