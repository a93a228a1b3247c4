import { InputError, isTag, type Repository, quoted } from '../oci/index.js';

type Named = Pick<Repository, 'name' | 'isLocal'>;

/**
 * Reduces a reference to this repository to its tag or digest; any other text stays. In a layout, any text is a tag, and stays as it
 * is.
 */
export function withoutOwnName({ name, isLocal = false }: Named, text: string): string {
  if (isLocal || !text.startsWith(name)) return text;
  const [, tagOrDigest] =
    /^(?::[^@]*)?@(.+)$/.exec(text.slice(name.length)) ?? /^:(.+)$/.exec(text.slice(name.length)) ?? [];
  return tagOrDigest ?? text;
}

/** @throws InputError `REFERENCE_INVALID` for a text that is neither a tag nor a reference to one */
export function checkTags(repository: Named, tags: readonly string[]): void {
  if (repository.isLocal === true) return;
  for (const tag of tags.map((text) => withoutOwnName(repository, text))) {
    if (isTag(tag)) continue;
    throw new InputError('REFERENCE_INVALID', `${quoted(tag)} is not a tag`, {
      remedy: 'A tag has up to 128 letters, digits, dots, dashes and underscores, and does not begin with . or -.',
    });
  }
}
