import {
  formatReference,
  InputError,
  isDigest,
  isTag,
  parseReference,
  type Digest,
  type Reference,
  quoted,
} from '../../oci/index.js';

/** The target of a command: in a registry, or in an OCI image layout on disk. */
export type Target =
  | { kind: 'registry'; text: string; reference: Reference; tagOrDigest?: string; tags: string[] }
  | { kind: 'oci-layout'; text: string; path: string; tagOrDigest?: string; tags: string[] };

export interface LayoutOptions {
  /** `--oci-layout`: the target is `path[:tag|@digest]`. */
  isLayout: boolean;
  /** `--oci-layout-path`: the whole target is a tag or digest in this layout. */
  layoutPath?: string;
}

function invalidTag(tag: string): InputError {
  return new InputError('REFERENCE_INVALID', `${quoted(tag)} is not a tag`);
}

/**
 * The tags of `a:t1,t2`; `first` is the one before the comma. A target with a digest, or without a tag, has none.
 * @throws InputError `REFERENCE_INVALID`
 */
function joined(first: string | undefined, others: readonly string[], isOne: (tag: string) => boolean): string[] {
  const wrong = first === undefined && others.length > 0 ? others.join() : others.find((tag) => !isOne(tag));
  if (wrong !== undefined) throw invalidTag(wrong);
  return first === undefined ? [] : [first, ...others];
}

/** In a layout, any text is a tag. */
function isText(tag: string): boolean {
  return tag !== '';
}

/** Splits a layout target into path and tag or digest. A colon before the last slash belongs to the path. */
function splitLayout(text: string): { path: string; tag?: string; digest?: Digest } {
  const at = text.lastIndexOf('@');
  const digest = at < 0 ? '' : text.slice(at + 1);
  if (isDigest(digest)) return { path: text.slice(0, at), digest };
  const colon = text.lastIndexOf(':');
  // On Windows, a single letter before the colon is a drive.
  const isDrive = process.platform === 'win32' && colon === 1;
  if (isDrive || colon < Math.max(0, text.lastIndexOf('/'), text.lastIndexOf('\\'))) return { path: text };
  const tag = text.slice(colon + 1);
  return { path: text.slice(0, colon), ...(tag !== '' && { tag }) };
}

/**
 * Reads a command's target.
 * @param options.severalTags allows `name:t1,t2`.
 * @throws InputError `REFERENCE_INVALID`
 */
export function parseTarget(text: string, options: LayoutOptions & { severalTags?: boolean }): Target {
  // Only a destination may have several tags.
  const [first = '', ...others] = options.severalTags === true ? text.split(',') : [text];
  if (options.layoutPath !== undefined) {
    const tags = joined(isDigest(first) ? undefined : first, others, isText);
    return { kind: 'oci-layout', text, path: options.layoutPath, tagOrDigest: first, tags };
  }
  if (options.isLayout) {
    const { path, tag, digest } = splitLayout(first);
    // An empty path comes from an unset variable. The current folder is `.`.
    if (path === '') {
      throw new InputError('REFERENCE_INVALID', `found empty file path in ${quoted(text)}`, {
        remedy: 'Write it as <folder or archive>[:<tag>], the current folder as ".".',
      });
    }
    const tagOrDigest = digest ?? tag;
    const tags = joined(tag, others, isText);
    return { kind: 'oci-layout', text, path, ...(tagOrDigest !== undefined && { tagOrDigest }), tags };
  }
  const reference = parseReference(first);
  const tagOrDigest = reference.digest ?? reference.tag;
  return {
    kind: 'registry',
    text,
    reference,
    ...(tagOrDigest !== undefined && { tagOrDigest }),
    tags: joined(reference.digest === undefined ? reference.tag : undefined, others, isTag),
  };
}

/** The target with its first tag only, for messages. */
export function firstOf({ text, tags }: Target): string {
  return tags.length > 1 ? text.slice(0, text.indexOf(',')) : text;
}

/** `registry/repository`, or the path of a layout. */
export function nameOf(target: Target): string {
  if (target.kind === 'oci-layout') return target.path;
  const { registry, repository } = target.reference;
  return formatReference({ registry, repository });
}
