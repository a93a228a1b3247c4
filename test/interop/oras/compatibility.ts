import { DIFFERENCES } from './differences.js';

/** A flag as its program's help has it: `-o, --output`. */
export interface Flag {
  long: string;
  short?: string;
}

interface Row {
  verb: string;
  /** Undefined: the verb itself. */
  flag?: string;
  status: 'same' | 'different' | 'not there' | 'ours alone';
  why: string;
}

/** Flags that oras has and we don't, on every verb and side. */
const NOT_THERE: Readonly<Record<string, string>> = {};

const VERBS_NOT_THERE: Readonly<Record<string, string>> = {
  backup: 'For now: `copy -r --to-oci-layout` keeps an artifact with all that refers to it in a folder.',
  restore: 'For now: `copy -r --from-oci-layout`, out of a folder or a tar archive.',
};

/** Flags that came after oras 1.3.3, which the tests run beside. */
const LATER: readonly { verb: string; flag: Flag }[] = [
  { verb: 'cp', flag: { long: 'force' } },
  { verb: 'push', flag: { long: 'force' } },
];

const SUBJECT =
  'The subject has media type, digest and size, however it was named. oras writes what the index says of it (platform, annotations) into it as well: named by its digest, it gets another referrer.';

const SUBJECT_KEPT =
  'As oras, with what refers to it and what nobody needs any more. But what a referrer refers to stays; oras takes it away where it has no tag: with its only signature, the image.';

const DIGEST_MEANT =
  'A digest at the destination is what must come, as in a registry; oras takes no notice of it in a layout.';

/** What is there and does something else. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'cp --force':
    'Came after oras 1.3.3. A copy always goes through all manifests at the destination; this asks for every layer, too.',
  'push --force': 'Came after oras 1.3.3. A push always sees that every blob is there.',
  'manifest delete --oci-layout': SUBJECT_KEPT,
  'manifest delete --oci-layout-path': SUBJECT_KEPT,
  'cp --to-oci-layout': DIGEST_MEANT,
  'cp --to-oci-layout-path': DIGEST_MEANT,
  'discover --output':
    '`-o json` prints `manifests`, as oras 1.2 does and the guide’s `jq` lines read; oras 1.3 prints `referrers`, as `--format json` does in both.',
  'attach --platform': SUBJECT,
  'attach --distribution-spec':
    'Forced to an API that the registry hasn’t got, ours fails (`REFERRERS_API_UNSUPPORTED`); oras ends with 0, and nobody finds what it has attached.',
  'attach --oci-layout': SUBJECT,
  'attach --oci-layout-path': SUBJECT,
  'cp --concurrency': '32 requests at once on each side by default; oras has 3.',
  'cp --recursive':
    'Referrers of the type of Azure’s artifact streaming stay behind unless asked for. The destination is asked for what arrived, and what it lost is put again.',
};

const TEMPLATE =
  'Of templates there is a part of the language, with the functions that [Templates](command-line.md#templates) lists; anything else is refused. What reads the environment or the clock stays out: a template may come in a job. All else, `json` and the rest, is the same.';

/** Flags, without the prefix of a side, that are different on every verb. */
const DIFFERENT_EVERYWHERE: Readonly<Record<string, string>> = {
  format: TEMPLATE,
  template: TEMPLATE,
  'plain-http': 'The default is true for localhost, 127.0.0.1 and [::1]; in oras, for localhost only.',
};

/** Whole verbs that do more, or the same otherwise than flag by flag. */
const VERB_NOTES: Readonly<Record<string, string>> = {
  push: 'Reproducible: `org.opencontainers.image.created` is 1970, or `SOURCE_DATE_EPOCH`; folders are packed without times. oras takes the clock, and another digest each time. Pushed to a digest, the two are compared before anything is sent, and lines of what would be are not printed. A link to a folder is pushed as the folder that it leads to; oras packs the link, and cannot pull it again.',
  attach: 'As push: attaching the same thing twice makes one referrer. oras makes two.',
  cp: 'The lines of nodes may come in another order, and of two names of one blob the other one may be `Skipped`. Within one registry, a blob that is there already is mounted once more, and said to be `Mounted`; oras asks first, and says `Exists`.',
  'completion bash': 'A script of our own.',
  'completion fish': 'A script of our own.',
  'completion powershell': 'A script of our own.',
  'completion zsh': 'A script of our own.',
  version: 'Another program, with the same lines.',
  pull: 'A device or a pipe in an archive is refused, and nothing is pulled; oras leaves it out and says nothing. All of an artifact is there or none of it, which oras does file by file. Two files for one path (`x` and `./x`, or a folder and a file in it) are refused where they differ; in oras the last one wins. A device that stands in the place of a file stays, and nothing is pulled; oras writes to it.',
  discover: 'Annotations are sorted; oras has them in an order of chance.',
};

const CONNECTION = /^(?:from|to)-/;

/** Flags out of a help text, ours or theirs. `-h` is none. */
export function flagsIn(help: string): Flag[] {
  return [...help.matchAll(/^ {2,6}(?:-(\w), |)--([\w-]+)/gm)]
    .map(([, short, long = '']) => ({ long, ...(short !== undefined && { short }) }))
    .filter(({ long }) => long !== 'help');
}

function written({ long, short }: Flag): string {
  return short === undefined ? `\`--${long}\`` : `\`-${short}, --${long}\``;
}

function rowOf(verb: string, flag: Flag, ours: readonly Flag[]): Row {
  const found = ours.find(({ long }) => long === flag.long);
  const row = { verb, flag: written(flag) };
  if (found === undefined) {
    const why = NOT_THERE[flag.long.replace(CONNECTION, '')];
    if (why === undefined) throw new Error(`${verb} --${flag.long} is not there, and nothing says why`);
    return { ...row, status: 'not there', why };
  }
  const why = DIFFERENT[`${verb} --${flag.long}`] ?? DIFFERENT_EVERYWHERE[flag.long.replace(CONNECTION, '')];
  if (why !== undefined) return { ...row, status: 'different', why };
  if (flag.short !== undefined && found.short !== flag.short) {
    return { ...row, status: 'different', why: `There is no \`-${flag.short}\`: write it out.` };
  }
  return { ...row, status: 'same', why: '' };
}

/**
 * The rows of one verb.
 * @param theirs the flags in oras's help
 * @param ours the flags in our help; undefined: there is no such verb
 */
function rowsOf(verb: string, theirs: readonly Flag[], ours: readonly Flag[] | undefined): Row[] {
  const absent = VERBS_NOT_THERE[verb];
  if (ours === undefined || absent !== undefined) {
    if (ours !== undefined || absent === undefined) throw new Error(`${verb}: is it there, or not?`);
    const flags = theirs.map((flag): Row => ({ verb, flag: written(flag), status: 'not there', why: 'As the verb.' }));
    return [{ verb, status: 'not there', why: absent }, ...flags];
  }
  const note = VERB_NOTES[verb];
  const more = ours.filter(({ long }) => !theirs.some((flag) => flag.long === long)).map(written);
  return [
    note === undefined ? { verb, status: 'same', why: '' } : { verb, status: 'different', why: note },
    ...theirs.map((flag) => rowOf(verb, flag, ours)),
    ...(more.length > 0 ? [{ verb, flag: more.join(', '), status: 'ours alone' as const, why: '' }] : []),
  ];
}

const INTRODUCTION = `# Beside oras 1.3

Every verb and flag that \`oras --help\` knows, and what \`acr-promoter\` makes of it. **same** is the same on standard
output, and the same exit code: test/interop runs command lines of every verb on both, and compares. A line on which they differ is at
the end. No line of the guide does less than it did, and \`-o json\` still prints what the guide reads ([guide.md](guide.md)).

\`-v, --verbose\`, which oras has deprecated and left out of its help, is taken on the same verbs and does as little; only the
words on standard error are other ones.

By default oras speaks plain HTTP to \`localhost\` alone; ours to the loopback addresses (\`127.0.0.1\`, \`[::1]\`) as well. Nodes that
move at the same time have their lines in an order of chance in both.

Written by test/interop/compatibility.test.ts (\`WRITE_DOCS=1\`) out of the help of both programs; each run compares, so that a flag
that is new in either is missing here until somebody says what it does.

| verb | flag | | why |
|---|---|---|---|
`;

const LINES = `
## Command lines that differ

Each is run by both programs in test/interop; what is not listed is held to be the same.

| line | differs in | why |
|---|---|---|
`;

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** docs/oras-compatibility.md */
export function formatCompatibility(
  verbs: readonly { verb: string; theirs: readonly Flag[]; ours: readonly Flag[] | undefined }[],
): string {
  const rows = verbs.flatMap(({ verb, theirs, ours }) => {
    const later = LATER.filter((each) => each.verb === verb && !theirs.some(({ long }) => long === each.flag.long));
    const flags = [...theirs, ...later.map(({ flag }) => flag)];
    return rowsOf(
      verb,
      flags.toSorted((a, b) => (a.long < b.long ? -1 : 1)),
      ours,
    );
  });
  const table = rows.map(({ verb, flag, status, why }) => `| ${verb} | ${flag ?? ''} | ${status} | ${cell(why)} |\n`);
  let last = '';
  const lines = DIFFERENCES.map(({ line, differs, why }) => {
    last = why === 'As above.' ? last : why;
    return `| \`${cell(line)}\` | ${differs.join(', ')} | ${cell(last)} |\n`;
  });
  return `${INTRODUCTION}${table.join('')}${LINES}${lines.join('')}`;
}
