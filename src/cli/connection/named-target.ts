import { connectionOf } from './connection.js';
import type { OpenTarget, Session } from './session.js';
import { readTarget } from './layout-options.js';
import type { Target } from './target.js';
import { noTagOrDigest, type Values, type VerbDescription } from '../verb.js';

/** A target that must name a tag or digest. @throws UsageError */
export function readNamed(
  verb: VerbDescription,
  text: string,
  values: Values,
): { target: Target; tagOrDigest: string } {
  const target = readTarget(text, values);
  const { tagOrDigest } = target;
  if (tagOrDigest === undefined) throw noTagOrDigest(verb, text);
  return { target, tagOrDigest };
}

/** Opens such a target, without asking for it yet. @throws UsageError */
export async function openNamed(
  session: Session,
  verb: VerbDescription,
  text: string,
  values: Values,
  options: { write?: boolean } = {},
): Promise<OpenTarget & { tagOrDigest: string }> {
  const { target, tagOrDigest } = readNamed(verb, text, values);
  return { ...(await session.open(target, connectionOf(values, ''), options)), tagOrDigest };
}
