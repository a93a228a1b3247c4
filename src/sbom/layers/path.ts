/**
 * Converts an archive path to a clean path relative to the image's root, without a leading slash: `./a//b/../c` becomes
 * `a/c`. `..` at the root stays at the root, as in a runtime. The root itself is ''.
 */
export function cleanPath(raw: string): string {
  // Most paths of real layers are clean.
  if (!/^\.{0,2}\/|\/\/|\/\.{1,2}(?:\/|$)|\/$|^\.{1,2}$/.test(raw)) return raw;
  const parts: string[] = [];
  for (const part of raw.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** The parent folder; '' for a path directly in the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** The last part of a path. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
