import { InputError, isTag, type Repository, quoted } from '../oci/index.js';

type Named = Pick<Repository, 'name' | 'isLocal'>;

/**
 * The tag or digest in a reference to this very repository, which may stand for them; any other text as it is. In a layout, a
 * tag may look like anything: there, every text is what it says.
 */
export function withoutOwnName({ name, isLocal = false }: Named, text: string): string {
  if (isLocal || !text.startsWith(name)) return text;
  const [, tagOrDigest] =
    /^(?::[^@]*)?@(.+)$/.exec(text.slice(name.length)) ?? /^:(.+)$/.exec(text.slice(name.length)) ?? [];
  return tagOrDigest ?? text;
}

/** @throws InputError `REFERENCE_INVALID` for what is not a tag, nor a reference to one */
export function checkTags(repository: Named, tags: readonly string[]): void {
  if (repository.isLocal === true) return;
  for (const tag of tags.map((text) => withoutOwnName(repository, text))) {
    if (isTag(tag)) continue;
    throw new InputError('REFERENCE_INVALID', `${quoted(tag)} is not a tag`, {
      remedy: 'A tag has up to 128 letters, digits, dots, dashes and underscores, and begins with none of . and -.',
    });
  }
}
