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
    why: 'oras says what it is going to tag, and then that a tag is none. Ours reads all tags before anything is said or written.',
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
    why: 'oras takes the digest of the manifest itself for a tag, and does nothing. Ours refuses what is no tag.',
  },
  {
    line: 'manifest push {repo}@{arm64} {folder}/amd64.json',
    differs: ['standard output'],
    why: 'oras sends it and lets the registry refuse it. Ours compares the digests before anything is sent.',
  },
  {
    line: 'blob push {repo}@{none} {folder}/blob.txt',
    differs: ['standard output'],
    why: 'As above.',
  },
  {
    line: 'blob push --size 11 {repo}@{other} - <other.txt',
    differs: ['standard output'],
    why: 'As above: content of another size is not begun to be sent.',
  },
  {
    line: 'blob push --size 9 {repo}@{blob} - <blob.txt',
    differs: ['standard output', 'exit code'],
    why: 'oras does not look at what it is given where the blob exists. Ours always does: other content is a mistake.',
  },
  {
    line: 'manifest push {repo}@{amd64},x {folder}/amd64.json',
    differs: ['standard output', 'exit code'],
    why: 'Tags behind a digest are not written anywhere in the help of oras; ours takes several tags, or one digest.',
  },
  {
    line: 'manifest push {repo}: {folder}/amd64.json',
    differs: ['standard output', 'exit code'],
    why: 'A reference that ends in a colon is a script whose tag is empty: ours refuses it, here as with every other verb; oras pushes to the digest alone.',
  },
  {
    line: 'resolve --registry-config {folder}/blob.txt {repo}:amd64',
    differs: ['standard output', 'exit code'],
    why: 'Ours reads a Docker config where a registry asks who it is; this one lets everybody in.',
  },
  {
    line: 'manifest index create {repo}@ amd64',
    differs: ['standard output', 'exit code'],
    why: 'A reference that ends in @ is a script whose digest is empty: ours refuses it.',
  },
  {
    line: 'manifest index update {repo}:idx --add amd64 --tag bad!tag',
    differs: ['standard output'],
    why: 'oras pushes the index, and then finds that a tag is none. Ours reads all tags first, and pushes nothing.',
  },
  {
    line: 'manifest delete -f --oci-layout {out}/nothing:v1',
    differs: ['standard output', 'exit code'],
    why: 'oras makes a layout in order to delete from it. Ours says that there is none.',
  },
  {
    line: 'blob delete -f --oci-layout {out}/none@{none}',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'login HOST -u name --password-stdin',
    differs: ['standard output'],
    why: 'With nothing on standard input, oras asks for a password there. Ours says that it is missing: nobody is there to ask.',
  },
  {
    line: 'completion nonsense',
    differs: ['standard output', 'exit code'],
    why: 'oras prints its help and calls it a success. Ours names the shells there are scripts for.',
  },
  {
    line: 'completion',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'version',
    differs: ['standard output'],
    why: 'Another program, made with another language; the lines are the same.',
  },
  {
    line: 'manifest nonsense',
    differs: ['standard output', 'exit code'],
    why: 'oras prints its help and calls it a success. Ours says that there is no such command.',
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
    why: 'oras takes no notice of what is too much. Ours refuses it.',
  },
  {
    line: 'push --oci-layout a.txt:v1 a.txt',
    differs: ['standard output'],
    why: 'oras says what it prepares, and then that a file is no folder. Ours opens the layout first.',
  },
  {
    line: `discover {repo}:v1 --format 'go-template={{env "HOME"}}'`,
    differs: ['standard output', 'exit code'],
    why: 'oras prints what stands in the environment. A template may come in a job: ours never reads it.',
  },
  {
    line: `discover {repo}:v1 --format 'go-template={{regexFind "[0-9]+" .digest}}'`,
    differs: ['standard output', 'exit code'],
    why: 'Regular expressions may take for ever here: there are none in ours.',
  },
  {
    line: `discover {repo}:v1 --format 'go-template={{define "x"}}{{.digest}}{{end}}{{template "x" .}}'`,
    differs: ['standard output', 'exit code'],
    why: 'Templates within templates are no part of the language that ours knows.',
  },
  {
    line: 'push --oci-layout tags@{none},x a.txt',
    differs: ['standard output', 'exit code'],
    why: 'Tags behind a digest: ours takes several tags, or one digest, here as with manifest push.',
  },
  {
    line: 'push {repo}:folder --config d a.txt',
    differs: ['standard output', 'exit code'],
    why: 'oras makes a gzipped archive of the folder, which nobody who reads a config can read. Ours wants a file.',
  },
  {
    line: 'repo tags --oci-layout nolist',
    differs: ['exit code'],
    why: 'An index.json without a list of manifests is none: ours leaves it alone. oras takes it for an empty one, and writes over whatever else it holds.',
  },
  {
    line: 'pull {repo}:garbage -o garbage',
    differs: ['standard output', 'exit code'],
    why: 'What follows the archive in its file is not looked at by oras. Ours reads to the end, and unpacks nothing of a file that is more than its archive.',
  },
  {
    line: 'resolve localhost:0{port}/samples/{side}:v1',
    differs: ['standard output', 'exit code'],
    why: 'A port has no zeros before it: credentials, leases and rules go by the name as it is written.',
  },
  {
    line: 'cp {repo}:v1 {repo}:',
    differs: ['standard output', 'exit code'],
    why: 'A reference that ends in a colon is a script whose tag is empty: ours refuses it; oras writes to the digest alone.',
  },
  {
    line: 'push {repo}: a.txt',
    differs: ['standard output', 'exit code'],
    why: 'As above.',
  },
  {
    line: 'push {repo}:a,bad! a.txt',
    differs: ['standard output'],
    why: 'oras writes the first tag, and then finds that another is none. Ours reads all tags first, and writes nothing.',
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
    why: 'Without a tag, oras lists one that is empty (`repo:`). Ours lists none.',
  },
];
