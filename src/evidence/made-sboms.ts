import { z } from 'zod';
import { isDigest, type Descriptor, type Digest } from '../oci/index.js';
import { untilWritten } from '../rows/until-written.js';
import type { Ports } from '../ports/ports.js';

/** SBOMs of one image that are known as ours: one for each repository that it was promoted from. */
const MOST_MADE_SBOMS = 1_000;

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');
const madeSchema = z.object({
  sboms: z.array(z.object({ mediaType: z.string(), digest, size: z.number().int().nonnegative() })),
});
type Made = z.infer<typeof madeSchema>['sboms'];

function nameOf(image: Pick<Descriptor, 'digest'>): string {
  return `sboms/${image.digest.replace(':', '-')}.json`;
}

/** Unreadable counts as empty: such SBOMs are made again, with the same bytes. */
function parse(bytes: Uint8Array | undefined): Made {
  try {
    return madeSchema.parse(JSON.parse(Buffer.from(bytes ?? []).toString('utf8'))).sboms;
  } catch {
    return [];
  }
}

/** The SBOMs that we made of an image, wherever they stand by now, newest first. */
export async function sbomsMadeOf(
  { documents }: Pick<Ports, 'documents'>,
  image: Pick<Descriptor, 'digest'>,
): Promise<Made> {
  return parse(await documents.get('documents', nameOf(image)));
}

/** Notes an SBOM as ours, before it is pushed. */
export async function noteMadeSbom(
  { documents }: Pick<Ports, 'documents'>,
  image: Pick<Descriptor, 'digest'>,
  { mediaType, digest: made, size }: Descriptor,
): Promise<void> {
  await untilWritten(image.digest, async () => {
    const found = await documents.getVersioned('documents', nameOf(image));
    const before = parse(found?.value);
    if (before.some((sbom) => sbom.digest === made)) return true;
    const sboms = [{ mediaType, digest: made, size }, ...before].slice(0, MOST_MADE_SBOMS);
    const bytes = Buffer.from(JSON.stringify({ sboms }));
    return (await documents.putVersioned('documents', nameOf(image), bytes, found?.version)) ? true : undefined;
  });
}
