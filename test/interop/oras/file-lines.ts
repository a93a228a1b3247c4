/**
 * Command lines on files, folders and layouts, one after another, each in a folder of its own side. What they print, their exit
 * code and the files that stand there afterwards are the same, but for `DIFFERENCES`.
 */
export const FILE_LINES: readonly string[] = [
  // The device that is always empty
  'push {repo}:nothing --config /dev/null:application/x a.txt',
  'push {repo}:nothing --config /dev/null a.txt',
  'push {repo}:null --disable-path-validation /dev/null',
  'push {repo}:null /dev/null',
  'attach {repo}:nothing --artifact-type a/b --disable-path-validation /dev/null',
  'manifest push {repo}:null /dev/null',
];
