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
  backup: 'use `copy -r --to-oci-layout`.',
  restore: 'use `copy -r --from-oci-layout`.',
};

/** Flags that came after oras 1.3.3, which the tests run beside. */
const LATER: readonly { verb: string; flag: Flag }[] = [
  { verb: 'cp', flag: { long: 'force' } },
  { verb: 'push', flag: { long: 'force' } },
];

const SUBJECT =
  'the subject has media type, digest and size only. oras adds platform and annotations of the index, so that attaching by tag and by digest makes two referrers.';

const SUBJECT_KEPT = 'the subject of a deleted referrer stays; oras deletes it if it has no tag.';

const DIGEST_MEANT = 'a digest at the destination is checked, as in a registry; oras ignores it in a layout.';

/** What is there and does something else. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'cp --force':
    'oras 1.3.3 does not have it yet. A copy always checks all manifests; with `--force`, it checks every layer, too.',
  'push --force': 'oras 1.3.3 does not have it yet. A push always checks every blob.',
  'manifest delete --oci-layout': SUBJECT_KEPT,
  'manifest delete --oci-layout-path': SUBJECT_KEPT,
  'cp --to-oci-layout': DIGEST_MEANT,
  'cp --to-oci-layout-path': DIGEST_MEANT,
  'discover --output':
    '`-o json` prints `manifests`, as oras 1.2 does; oras 1.3 prints `referrers`. `--format json` prints the same as in oras.',
  'attach --platform': SUBJECT,
  'attach --distribution-spec':
    'if the registry does not have the API, the command fails (`REFERRERS_API_UNSUPPORTED`); oras exits with 0.',
  'attach --oci-layout': SUBJECT,
  'attach --oci-layout-path': SUBJECT,
  'cp --concurrency': '32 by default; 3 in oras.',
  'cp --recursive':
    'Azure’s artifact streaming referrers are not copied by default. The arrival is verified, and lost content is pushed again.',
};

const TEMPLATE =
  'templates have only [a part](command-line.md#templates) of Go’s templates. All other formats are the same.';

/** Flags, without the prefix of a side, that are different on every verb. */
const DIFFERENT_EVERYWHERE: Readonly<Record<string, string>> = {
  format: TEMPLATE,
  template: TEMPLATE,
  'plain-http': 'default for localhost, 127.0.0.1 and [::1]; in oras, for localhost only.',
};

/** Whole verbs that do more, or the same otherwise than flag by flag. */
const VERB_NOTES: Readonly<Record<string, string>> = {
  push: 'reproducible: `org.opencontainers.image.created` is 1970 or `SOURCE_DATE_EPOCH`, folders have no times. A digest is compared before anything is sent. A link to a folder is pushed as that folder; oras packs the link and cannot pull it.',
  attach: 'reproducible: attaching the same files twice makes one referrer; oras makes two.',
  cp: 'if two files have the same content, either of them may be printed as `Skipped`. Within one registry, an existing blob is printed as `Mounted`; oras prints `Exists`.',
  'completion bash': 'prints another script.',
  'completion fish': 'prints another script.',
  'completion powershell': 'prints another script.',
  'completion zsh': 'prints another script.',
  version: 'prints the same lines, with the values of this program.',
  pull: 'writes all files or none; oras writes one file after the other. Devices and pipes in an archive are refused; oras skips them. Different files for one path are refused; in oras the last wins. A device in the place of a file is not written to.',
  discover: 'annotations are sorted; random in oras.',
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

const INTRODUCTION = `# Differences from oras 1.3

<!-- Written by test/interop/compatibility.test.ts with WRITE_DOCS=1, from the help of both programs. -->

If a command or flag of \`oras --help\` is not listed here, it behaves the same: standard output and exit code are equal.
The tests run command lines of every command with both programs. Progress lines of concurrent transfers may come in another order.
`;

/** Every text once, with all that it is said of. */
function grouped(entries: readonly (readonly [of: string, why: string])[]): string {
  const byWhy = new Map<string, string[]>();
  for (const [of, why] of entries) byWhy.set(why, [...(byWhy.get(why) ?? []), of]);
  return [...byWhy].map(([why, of]) => `- ${of.join(', ')}: ${why}\n`).join('');
}

/** `copy --from-plain-http` and its like are one flag, on however many commands. */
function ofFlags(rows: readonly Row[]): [string, string][] {
  const everywhere = new Map<string, Set<string>>();
  for (const { verb, flag = '', why } of rows) {
    const name = (/--(?:from-|to-)?([\w-]+)/.exec(flag)?.[1] ?? '').replace(/-path$/, '');
    const key = `\`--${name}\`\n${why}`;
    everywhere.set(key, (everywhere.get(key) ?? new Set()).add(verb));
  }
  return [...everywhere].map(([key, verbs]) => {
    const [flag = '', why = ''] = key.split('\n');
    return [verbs.size > 4 ? flag : `${flag} (${[...verbs].join(', ')})`, why];
  });
}

/** docs/reference/oras-compatibility.md */
export function formatCompatibility(
  verbs: readonly { verb: string; theirs: readonly Flag[]; ours: readonly Flag[] | undefined }[],
): string {
  const rows = verbs.flatMap(({ verb, theirs, ours }) => {
    const later = LATER.filter((each) => each.verb === verb && !theirs.some(({ long }) => long === each.flag.long));
    return rowsOf(verb, [...theirs, ...later.map(({ flag }) => flag)], ours);
  });
  const ofVerbs = (status: Row['status']): [string, string][] =>
    rows.filter((row) => row.status === status && row.flag === undefined).map(({ verb, why }) => [`\`${verb}\``, why]);
  const different = rows.filter(({ status, flag }) => status === 'different' && flag !== undefined);
  const added = rows.filter(({ status }) => status === 'ours alone').map((row) => ({ ...row, why: '' }));
  const flagsAdded = added.flatMap(({ verb, flag = '' }) => flag.split(', `').map((each) => ({ verb, flag: each })));
  const addedLines = ofFlags(flagsAdded.map((each) => ({ ...each, status: 'ours alone', why: '' })));
  let last = '';
  const lines = DIFFERENCES.map(({ line, why }): [string, string] => {
    last = why === 'As above.' ? last : why;
    return [`\`${line}\``, last];
  });
  return [
    INTRODUCTION,
    `## Commands that are missing\n\n${grouped(ofVerbs('not there'))}`,
    `## Commands that differ\n\n${grouped(ofVerbs('different'))}`,
    `## Flags that differ\n\n${grouped(ofFlags(different))}`,
    `## Flags that oras does not have\n\n${addedLines.map(([flag]) => flag).join(', ')}\n`,
    `## Command lines that differ\n\n${grouped(lines)}`,
  ].join('\n');
}
