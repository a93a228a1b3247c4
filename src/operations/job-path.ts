/** Characters of a file's path in a job. `JOB_INVALID` */
export const PATH_CHARS = 512;
/** What names nothing in a path: control characters, ends of lines, halves of characters, and a backslash, which is a slash elsewhere. */
const UNNAMEABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\\\ufffe\uffff]/u;

/** What keeps a text from being the path of a job's file: below nothing, leading nowhere else, and what a blob may be called. */
export function pathProblem(path: string): string | undefined {
  const parts = path.replace(/\/$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.endsWith('.'))) {
    return 'write it as a/b/c: no part is empty, a dot or two, or ends in a dot';
  }
  return UNNAMEABLE.test(path) ? 'without control characters, ends of lines and backslashes' : undefined;
}
