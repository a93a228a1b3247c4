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
  // Layouts in folders that are there, or are not
  'push {repo}:v1 a.txt',
  'push --oci-layout .:v1 a.txt',
  'repo tags --oci-layout .',
  'cp {repo}:v1 --to-oci-layout d:v1',
  'blob push --oci-layout full a.txt',
  'manifest push --oci-layout other-full:v1 empty-index.json',
  'push --oci-layout unmarked:v1 a.txt',
  'repo tags --oci-layout unmarked',
  'push --oci-layout a.txt:v1 a.txt',
  'pull --oci-layout sub:v1',
  'manifest index create --oci-layout made:a',
  'manifest index create --oci-layout made-too:a v1',
  'manifest index create --oci-layout made-to-print:a -o -',
  'manifest index create --oci-layout unmarked:both v1',
  // Layouts without a path
  'push --oci-layout :v1 b.txt',
  'push --oci-layout "" b.txt',
  'push --oci-layout :v1,v2 b.txt',
  'cp {repo}:v1 --to-oci-layout :v1',
  'cp --from-oci-layout :v1 {repo}:v2',
  'blob push --oci-layout "" a.txt',
  'repo tags --oci-layout ""',
  'resolve --oci-layout :v1',
  'discover --oci-layout ""',
  'tag --oci-layout :v1 v2',
  'push --oci-layout-path "" v1 a.txt',
  // A folder, and a file in it
  'push {repo}:twice d d/x',
  'pull {repo}:twice -o twice',
  'pull {repo}:twice -o twice',
  'push {repo}:twice d/x d',
  'pull {repo}:twice -o twice-again --format go-template={{len .files}}',
  // What the language of templates leaves out
  `discover {repo}:v1 --format 'go-template={{env "HOME"}}'`,
  `discover {repo}:v1 --format 'go-template={{regexFind "[0-9]+" .digest}}'`,
  `discover {repo}:v1 --format 'go-template={{define "x"}}{{.digest}}{{end}}{{template "x" .}}'`,
];
