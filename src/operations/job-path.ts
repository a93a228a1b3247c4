/** The most characters of a file's path in a job. `JOB_INVALID` */
export const PATH_CHARS = 512;
/**
 * Characters that a path may not have: control characters, line ends, halves of surrogate pairs, and backslashes, which
 * Windows reads as slashes.
 */
const UNNAMEABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\\\ufffe\uffff]/u;

/** The problem with the path of a job's file. It must be relative and a valid blob name. */
export function pathProblem(path: string): string | undefined {
  const parts = path.replace(/\/$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.endsWith('.'))) {
    return 'write it as a/b/c: no part may be empty, "." or "..", or end with a dot';
  }
  return UNNAMEABLE.test(path) ? 'control characters, line ends and backslashes are not allowed' : undefined;
}
