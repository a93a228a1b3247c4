import type { ReadableRepository } from '../oci/index.js';

/** The tag or digest in a reference to this very repository, which may stand for them; any other text as it is. */
export function withoutOwnName({ name }: Pick<ReadableRepository, 'name'>, text: string): string {
  if (!text.startsWith(name)) return text;
  const [, tagOrDigest] =
    /^(?::[^@]*)?@(.+)$/.exec(text.slice(name.length)) ?? /^:(.+)$/.exec(text.slice(name.length)) ?? [];
  return tagOrDigest ?? text;
}
