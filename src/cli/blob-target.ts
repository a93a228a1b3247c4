import { isDigest, parseDigest, type Digest } from '../oci/index.js';
import { UsageError } from './errors.js';
import { connectionOf } from './connection.js';
import type { OpenTarget, Session } from './session.js';
import { readTarget } from './layout-options.js';
import type { Target } from './target.js';
import type { Values, VerbDescription } from './verb.js';

/** A blob's target, which has a digest or nothing. @throws InputError `DIGEST_INVALID` */
export function parseBlobTarget(text: string, values: Values): { target: Target; digest?: Digest } {
  const target = readTarget(text, values);
  const { tagOrDigest } = target;
  if (tagOrDigest === undefined) return { target };
  return { target, digest: isDigest(tagOrDigest) ? tagOrDigest : parseDigest(tagOrDigest) };
}

/** @throws UsageError without a digest */
export async function openBlobTarget(
  session: Session,
  verb: VerbDescription,
  text: string,
  values: Values,
  options: { write?: boolean } = {},
): Promise<OpenTarget & { digest: Digest }> {
  const { target, digest } = parseBlobTarget(text, values);
  if (digest === undefined) {
    throw new UsageError(`"${text}": no digest specified`, {
      usage: `acr-promoter ${verb.path} [flags] ${verb.operands}`,
      advice: `Please specify a reference in the form of "<name>@<digest>". Run "acr-promoter ${verb.path} -h" for more options and examples`,
    });
  }
  return { ...(await session.open(target, connectionOf(values, ''), options)), digest };
}
