import { connectionOf } from './connection.js';
import type { OpenTarget, Session } from './session.js';
import { parseTarget } from './target.js';
import { noTagOrDigest, textOf, type Values, type VerbDescription } from './verb.js';

/** Opens a target that must name a tag or digest, without asking for it yet. @throws UsageError */
export async function openNamed(
  session: Session,
  verb: VerbDescription,
  text: string,
  values: Values,
): Promise<OpenTarget & { tagOrDigest: string }> {
  const layoutPath = textOf(values, 'ociLayoutPath');
  const isLayout = values.ociLayout === true;
  const target = parseTarget(text, { isLayout, ...(layoutPath !== undefined && { layoutPath }) });
  const { tagOrDigest } = target;
  if (tagOrDigest === undefined) throw noTagOrDigest(verb, text);
  return { ...(await session.open(target, connectionOf(values, ''))), tagOrDigest };
}
