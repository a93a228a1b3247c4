/** A command line on which we do something else than oras 1.3, and why. */
export interface Difference {
  /** As the tests write it. */
  line: string;
  /** What is not the same. */
  differs: ('standard output' | 'exit code')[];
  why: string;
}

/** All of them, for the verbs on manifests, tags, repositories and blobs, and for signing in. What is not in this list is held to be the same. */
export const DIFFERENCES: readonly Difference[] = [
  {
    line: 'tag {repo}:amd64 v4,v5',
    differs: ['standard output'],
    why: 'all tags are checked before anything is printed or written.',
  },
  {
    line: 'tag {repo}:amd64 b@d',
    differs: ['standard output'],
    why: 'As above.',
  },
  {
    line: 'tag {repo}:amd64 ""',
    differs: ['standard output'],
    why: 'As above.',
  },
  {
    line: 'tag {repo}:amd64 {amd64}',
    differs: ['standard output', 'exit code'],
    why: 'a digest is not a tag; oras does nothing.',
  },
  {
    line: 'manifest push {repo}@{arm64} {folder}/amd64.json',
    differs: ['standard output'],
    why: 'digests are compared before anything is sent.',
  },
  {
    line: 'blob push {repo}@{none} {folder}/blob.txt',
    differs: ['standard output'],
    why: 'As above.',
  },
  {
    line: 'blob push --size 11 {repo}@{other} - <other.txt',
    differs: ['standard output'],
    why: 'content of another size is not sent.',
  },
  {
    line: 'blob push --size 9 {repo}@{blob} - <blob.txt',
    differs: ['standard output', 'exit code'],
    why: 'content is checked even if the blob exists.',
  },
  {
    line: 'manifest push {repo}@{amd64},x {folder}/amd64.json',
    differs: ['standard output', 'exit code'],
    why: 'several tags are allowed, or one digest, but not both.',
  },
  {
    line: 'manifest push {repo}: {folder}/amd64.json',
    differs: ['standard output', 'exit code'],
    why: 'an empty tag is refused; oras writes without a tag.',
  },
  {
    line: 'resolve --registry-config {folder}/blob.txt {repo}:amd64',
    differs: ['standard output', 'exit code'],
    why: 'the Docker config is read only if the registry asks for a credential.',
  },
  {
    line: 'manifest index create {repo}@ amd64',
    differs: ['standard output', 'exit code'],
    why: 'an empty digest is refused.',
  },
  {
    line: 'manifest index update {repo}:idx --add amd64 --tag bad!tag',
    differs: ['standard output'],
    why: 'all tags are checked before anything is printed or written.',
  },
  {
    line: 'manifest delete -f --oci-layout {out}/nothing:v1',
    differs: ['standard output', 'exit code'],
    why: 'a missing layout is an error; oras creates it.',
  },
  {
    line: 'blob delete -f --oci-layout {out}/none@{none}',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'login HOST -u name --password-stdin',
    differs: ['standard output'],
    why: 'an empty standard input is an error; oras prompts.',
  },
  {
    line: 'completion nonsense',
    differs: ['standard output', 'exit code'],
    why: 'an unknown shell is an error; oras prints help.',
  },
  {
    line: 'completion',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'version',
    differs: ['standard output'],
    why: 'prints the values of this program.',
  },
  {
    line: 'manifest nonsense',
    differs: ['standard output', 'exit code'],
    why: 'an unknown command is an error; oras prints help.',
  },
  {
    line: 'manifest index nonsense',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'blob nonsense',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'repo nonsense',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'version extra',
    differs: ['standard output', 'exit code'],
    why: 'extra arguments are refused.',
  },
  {
    line: 'push --oci-layout a.txt:v1 a.txt',
    differs: ['standard output'],
    why: 'the layout is opened before the file is read.',
  },
  {
    line: `discover {repo}:v1 --format 'go-template={{env "HOME"}}'`,
    differs: ['standard output', 'exit code'],
    why: 'templates read no environment.',
  },
  {
    line: `discover {repo}:v1 --format 'go-template={{regexFind "[0-9]+" .digest}}'`,
    differs: ['standard output', 'exit code'],
    why: 'templates have no regular expressions.',
  },
  {
    line: `discover {repo}:v1 --format 'go-template={{define "x"}}{{.digest}}{{end}}{{template "x" .}}'`,
    differs: ['standard output', 'exit code'],
    why: 'templates define no templates.',
  },
  {
    line: 'push --oci-layout tags@{none},x a.txt',
    differs: ['standard output', 'exit code'],
    why: 'several tags are allowed, or one digest, but not both.',
  },
  {
    line: 'push {repo}:folder --config d a.txt',
    differs: ['standard output', 'exit code'],
    why: 'a config must be a file; oras packs a folder.',
  },
  {
    line: 'repo tags --oci-layout nolist',
    differs: ['exit code'],
    why: 'an index.json without manifests is refused; oras overwrites it.',
  },
  {
    line: 'pull {repo}:garbage -o garbage',
    differs: ['standard output', 'exit code'],
    why: 'content after an archive is refused; oras ignores it.',
  },
  {
    line: 'resolve localhost:0{port}/samples/{side}:v1',
    differs: ['standard output', 'exit code'],
    why: 'leading zeros in a port are refused.',
  },
  {
    line: 'cp {repo}:v1 {repo}:',
    differs: ['standard output', 'exit code'],
    why: 'an empty tag is refused; oras writes without a tag.',
  },
  {
    line: 'push {repo}: a.txt',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'push {repo}:a,bad! a.txt',
    differs: ['standard output'],
    why: 'all tags are checked before anything is printed or written.',
  },
  {
    line: 'cp {repo}:v1 {repo}:a,bad!',
    differs: ['standard output'],
    why: 'As above.',
  },
  {
    line: 'cp {repo}:v1 --to-oci-layout tags:f,',
    differs: ['standard output'],
    why: 'As above.',
  },
  {
    line: `push {repo} a.txt --format 'go-template={{len .referenceAsTags}}'`,
    differs: ['standard output'],
    why: 'without a tag, none is listed; oras lists `repo:`.',
  },
];
