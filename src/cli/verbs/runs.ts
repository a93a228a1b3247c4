import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { formatDuration } from '../../rules/duration.js';
import { formatResult } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import { ageOf, tableLines, tableStyleOf, withShortDigests, type Column, type TableStyle } from '../output/table.js';
import { operandAt, refuseSubcommand, textOf, type VerbContext, type VerbDescription } from '../verb.js';
import { addListOptions, NAME_FILTERS, showList, SINCE_FILTER, type Filters } from '../app/app-lists.js';
import { defineAppVerb, type AppCall } from '../app/app-verb.js';
import { addCancelOptions, cancelRun } from '../app/cancel.js';
import { askApp } from '../app/ask-app.js';
import type { IgnoredEvent } from '../../rows/ignored-event.js';
import type { RunInList, ShownRun } from '../app/answers.js';

const LIST: VerbDescription = {
  path: 'runs',
  operands: '[<id>]',
  purpose: 'the id of a run',
  count: 0,
  most: 1,
  summary: 'List the runs of promotions and jobs, or show one',
  examples: [
    ['All runs, newest first', 'acr-promoter runs --app https://myapp.azurewebsites.net'],
    ['Failed runs of one rule', 'acr-promoter runs --state failed --rule staging'],
    [
      'Runs of a digest',
      'acr-promoter runs --digest sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
    ],
    ['Pushes that no rule matches', 'acr-promoter runs --state ignored'],
  ],
};
const SHOW: VerbDescription = {
  path: 'runs show',
  operands: '<id>',
  purpose: 'the id of the run',
  count: 1,
  summary: 'Show a run: its trigger, steps, durations, outcome and reason',
  examples: [['One run', 'acr-promoter runs show 7zzyb3s4v9-8m1c0k5xq2w7e9rt']],
};
const CANCEL: VerbDescription = {
  path: 'runs cancel',
  operands: '<id>',
  purpose: 'the id of the run',
  count: 1,
  summary: 'Cancel a run',
  examples: [
    ['Cancel a run', 'acr-promoter runs cancel 7zzyb3s4v9-8m1c0k5xq2w7e9rt'],
    [
      'Record who cancels it, and why',
      "acr-promoter runs cancel --by ana --reason 'the wrong tag' 7zzyb3s4v9-8m1c0k5xq2w7e9rt",
    ],
  ],
};
const FILTERS: Filters = [
  [
    'state',
    'state',
    'open, pending, running, ended, an outcome (promoted, failed, …), or ignored (events that no rule matches)',
  ],
  ...NAME_FILTERS,
  ['digest', 'digest', 'only this digest, or its first characters (at least six)'],
  SINCE_FILTER,
];

type Trigger = ShownRun['trigger'];

function sourceText(source: RunInList['source']): string {
  if (source === undefined) return '';
  return `${source.registry}/${source.repository}${source.tag === undefined ? '' : `:${source.tag}`}`;
}

function triggerText(trigger: Trigger): string {
  if (trigger === undefined) return '';
  const { kind, id, reason } = trigger;
  return `${kind}${id === undefined ? '' : ` ${id}`}${reason === undefined ? '' : ` (${reason})`}`;
}

function tookText({ openedAt, finishedAt }: RunInList): string {
  return finishedAt === undefined ? '' : formatDuration(Date.parse(finishedAt) - Date.parse(openedAt));
}

/** Columns of the lists of runs and of jobs. */
export const RUN_COLUMNS = {
  state: { heading: 'STATE', text: ({ state, result }) => result?.outcome ?? state, isState: true },
  code: { heading: 'CODE', text: ({ result }) => result?.code ?? '', isWide: true },
  source: { heading: 'SOURCE', text: ({ source }) => sourceText(source), cut: 'start' },
  age: {
    heading: 'AGE',
    text: ({ openedAt }) => ageOf(openedAt),
    wideHeading: 'OPENED',
    wideText: ({ openedAt }) => openedAt,
  },
  took: { heading: 'TOOK', text: tookText },
} as const satisfies Record<string, Column<RunInList>>;
const COLUMNS: readonly Column<RunInList>[] = [
  { heading: 'ID', text: ({ id }) => id },
  RUN_COLUMNS.state,
  RUN_COLUMNS.code,
  RUN_COLUMNS.source,
  { heading: 'RULE', text: ({ rule, operation = '' }) => rule ?? `job ${operation}`, cut: 'end' },
  RUN_COLUMNS.age,
  RUN_COLUMNS.took,
  { heading: 'DIGEST', text: ({ digest = '' }) => digest, isWide: true },
  { heading: 'TRIGGER', text: ({ trigger }) => triggerText(trigger), isWide: true },
];
const IGNORED_COLUMNS: readonly Column<IgnoredEvent>[] = [
  { heading: 'AGE', text: ({ at }) => ageOf(at), wideHeading: 'LAST SEEN', wideText: ({ at }) => at },
  { heading: 'TIMES', text: ({ times = 1 }) => `${times}` },
  {
    heading: 'REFERENCE',
    text: ({ reference }) => withShortDigests(reference),
    wideText: ({ reference }) => reference,
    cut: 'start',
  },
  { heading: 'REASON', text: ({ reason }) => reason, cut: 'end' },
];
const STEP_COLUMNS: readonly Column<ShownRun['steps'][number]>[] = [
  { heading: 'STEP', text: ({ step }) => step },
  { heading: 'STATE', text: ({ state }) => state, isState: true },
  { heading: 'STARTED', text: ({ startedAt }) => startedAt, isWide: true },
  { heading: 'TOOK', text: ({ durationMs }) => formatDuration(durationMs) },
  {
    heading: 'PROGRESS',
    text: (step) => (step.state === 'done' ? '' : progressText(step)),
    wideText: progressText,
    cut: 'end',
  },
  { heading: 'TEXT', text: ({ text }) => withShortDigests(text), wideText: ({ text }) => text, cut: 'end' },
];

/** Characters of one field of a job. */
const MOST_FIELD_CHARS = 200;

/** What the run is about: the promotion, or the job with its fields. */
function aboutLines({ input }: ShownRun): string[] {
  if (input.kind === 'promotion') {
    return [`rule ${input.rule.name}, ${sourceText(input.source)} -> ${input.destination}`];
  }
  const { id, operation, ...fields } = input.job;
  const lines = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return `  ${name}: ${text.length > MOST_FIELD_CHARS ? `${text.slice(0, MOST_FIELD_CHARS)}…` : text}`;
  });
  return [`job ${id}, ${operation}`, ...lines];
}

function progressText({ doneBytes, totalBytes, doneNodes, totalNodes }: ShownRun['steps'][number]): string {
  return [
    ...(totalNodes === undefined ? [] : [`${doneNodes ?? 0} of ${totalNodes} nodes`]),
    ...(totalBytes === undefined ? [] : [`${doneBytes ?? 0} of ${totalBytes} bytes`]),
  ].join(', ');
}

function runText(run: ShownRun, style: TableStyle): string {
  const { code, reason, remedy } = run.result ?? {};
  const why = [code, reason].filter((part) => part !== undefined && part !== '').join(': ');
  const state = run.result?.outcome ?? run.state;
  const lines = [
    `${onTerminal(run.id)}: ${style.colors.state(onTerminal(state))}`,
    ...[
      ...aboutLines(run),
      `opened ${run.openedAt}${run.trigger === undefined ? '' : ` by ${triggerText(run.trigger)}`}, ${run.state === 'ended' ? 'took' : 'so far'} ${formatDuration(run.durationMs)}`,
      ...(run.digest === undefined ? [] : [run.digest]),
      ...(why === '' ? [] : [why]),
      ...(remedy === undefined ? [] : [remedy]),
    ].map(onTerminal),
    ...(run.steps.length === 0 ? [] : ['', ...tableLines(STEP_COLUMNS, run.steps, style)]),
  ];
  return `${lines.join('\n')}\n`;
}

/** @throws InputError `OPTIONS_EXCLUSIVE` for a filter that ignored events do not have */
async function listIgnored(call: AppCall): Promise<void> {
  const refused = FILTERS.flatMap(([name]) =>
    name === 'state' || name === 'since' || textOf(call.values, name) === undefined ? [] : [`--${name}`],
  );
  if (refused.length > 0) {
    throw new InputError('OPTIONS_EXCLUSIVE', `--state ignored and ${refused.join(', ')} exclude each other`, {
      remedy: `Omit ${refused.join(', ')}: the only filter of ignored events is --since.`,
    });
  }
  const { readIgnored } = await import('../app/answers.js');
  await showList(call, {
    path: 'runs',
    query: { state: 'ignored' },
    filters: [SINCE_FILTER],
    name: 'ignored',
    plural: 'ignored events',
    columns: IGNORED_COLUMNS,
    idOf: ({ reference, reason }) => `${reference} ${reason}`,
    read: readIgnored,
  });
}

async function listRuns(call: AppCall): Promise<void> {
  if (textOf(call.values, 'state') === 'ignored') return listIgnored(call);
  const { readRuns } = await import('../app/answers.js');
  const idOf = ({ id }: RunInList): string => id;
  await showList(call, { path: 'runs', filters: FILTERS, name: 'runs', columns: COLUMNS, idOf, read: readRuns });
}

async function showRun({ app, format, operands, values, io }: AppCall): Promise<void> {
  const answer = await askApp(app, `runs/${encodeURIComponent(operandAt(operands, 0))}`, io);
  if (format.kind !== 'text') return io.out(formatResult(format, answer));
  const run = (await import('../app/answers.js')).readShownRun(answer);
  io.out(runText(run, tableStyleOf(io, values)));
}

/** `runs`, `runs show` and `runs cancel`. */
export function addRuns(parent: Command, context: VerbContext): void {
  const listed = { add: (command: Command): void => addListOptions(command, FILTERS), isTable: true };
  const list = defineAppVerb(parent, context, LIST, listed, (call) => {
    const [id] = call.operands;
    if (id === undefined) return listRuns(call);
    // The id of a run has a hyphen, and no verb has one.
    if (!id.includes('-')) refuseSubcommand(list, call.operands);
    return showRun(call);
  }).enablePositionalOptions();
  const wide = (command: Command): void =>
    void command.option('--wide', 'all columns, with full digests and times; may be wider than the terminal');
  defineAppVerb(list, context, SHOW, { add: wide }, showRun);
  defineAppVerb(list, context, CANCEL, { add: addCancelOptions }, (call) =>
    cancelRun(call, operandAt(call.operands, 0)),
  );
}
