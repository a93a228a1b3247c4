/**
 * A path of an archive as a path below the image's root, without leading slash: `./a//b/../c` is `a/c`. What climbs over the
 * root stays at the root, as in a runtime. The root itself is ''.
 */
export function cleanPath(raw: string): string {
  // Nearly every path of a real layer is clean.
  if (!/^\.{0,2}\/|\/\/|\/\.{1,2}(?:\/|$)|\/$|^\.{1,2}$/.test(raw)) return raw;
  const parts: string[] = [];
  for (const part of raw.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** '' for what lies in the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Where a symbolic link at `path` leads, by its text alone: other links on the way are not looked at. */
export function linkTarget(path: string, target: string): string {
  return cleanPath(target.startsWith('/') ? target : `${parentOf(path)}/${target}`);
}
