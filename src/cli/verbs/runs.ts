import type { Command } from 'commander';
import { formatDuration } from '../../rules/duration.js';
import { formatColumns } from '../output/columns.js';
import { formatResult } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import { operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';
import { addListOptions, askList, tellMore, type Filters } from '../app/app-lists.js';
import { defineAppVerb, type AppCall } from '../app/app-verb.js';
import { askApp } from '../app/jobs-app.js';
import type { RunInList, ShownRun } from '../app/seeing-answers.js';

const LIST: VerbDescription = {
  path: 'runs',
  operands: '[<id>]',
  purpose: 'the id of a run',
  count: 0,
  most: 1,
  summary: 'List the runs of the app, promotions and jobs; or show one',
  examples: [
    ['All of them, newest first', 'acr-promoter runs --app https://myapp.azurewebsites.net'],
    ['What failed, of one rule', 'acr-promoter runs --state failed --rule staging'],
    [
      'What came of a digest',
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
  summary: 'Show a run: what opened it, its steps with their times, how it ended and why',
  examples: [['One run', 'acr-promoter runs show 7zzyb3s4v9-8m1c0k5xq2w7e9rt']],
};
const CANCEL: VerbDescription = {
  path: 'runs cancel',
  operands: '<id>',
  purpose: 'the id of the run',
  count: 1,
  summary: 'Have the app stop a run',
  examples: [
    ['Stop it', 'acr-promoter runs cancel 7zzyb3s4v9-8m1c0k5xq2w7e9rt'],
    ['And say who, and why', "acr-promoter runs cancel --by ana --reason 'the wrong tag' 7zzyb3s4v9-8m1c0k5xq2w7e9rt"],
  ],
};
const FILTERS: Filters = [
  [
    'state',
    'state',
    'open, pending, running, ended, an outcome (promoted, failed, …), or ignored: events that no rule matches',
  ],
  ['rule', 'name', 'only this rule'],
  ['repository', 'name', 'those of this source repository; its registry may stand before it'],
  ['tag', 'tag', 'those of this source tag'],
  ['digest', 'digest', 'those that saw this digest'],
];

type Trigger = ShownRun['trigger'];

function sourceText(source: RunInList['source']): string {
  if (source === undefined) return '';
  return `${source.registry}/${source.repository}${source.tag === undefined ? '' : `:${source.tag}`}`;
}

function outcomeText({ state, result }: Pick<ShownRun, 'state' | 'result'>): string {
  return result === undefined ? state : `${result.outcome}${result.code === undefined ? '' : ` ${result.code}`}`;
}

function triggerText(trigger: Trigger): string {
  return trigger === undefined ? '' : `${trigger.kind}${trigger.id === undefined ? '' : ` ${trigger.id}`}`;
}

function rowOf(run: RunInList): string[] {
  const { id, rule, operation, source, openedAt, finishedAt, trigger } = run;
  const took = finishedAt === undefined ? '' : formatDuration(Date.parse(finishedAt) - Date.parse(openedAt));
  const what = rule === undefined ? (operation ?? '') : `rule ${rule}`;
  return [id, outcomeText(run), what, sourceText(source), openedAt, took, triggerText(trigger)];
}

function aboutText({ input }: ShownRun): string {
  if (input.kind === 'job') return `job ${input.job.id}, ${input.job.operation}`;
  return `rule ${input.rule.name}, ${sourceText(input.source)} -> ${input.destination}`;
}

function progressText({ doneBytes, totalBytes, doneNodes, totalNodes }: ShownRun['steps'][number]): string {
  return [
    ...(totalNodes === undefined ? [] : [`${doneNodes ?? 0} of ${totalNodes} nodes`]),
    ...(totalBytes === undefined ? [] : [`${doneBytes ?? 0} of ${totalBytes} bytes`]),
  ].join(', ');
}

function runText(run: ShownRun): string {
  const { code, reason, remedy } = run.result ?? {};
  const why = [code, reason].filter((part) => part !== undefined && part !== '').join(': ');
  const lines = [
    `${run.id}: ${run.result?.outcome ?? run.state}`,
    aboutText(run),
    `opened ${run.openedAt}${run.trigger === undefined ? '' : ` by ${triggerText(run.trigger)}`}, ${run.state === 'ended' ? 'took' : 'so far'} ${formatDuration(run.durationMs)}`,
    ...(run.digest === undefined ? [] : [run.digest]),
    ...(why === '' ? [] : [why]),
    ...(remedy === undefined ? [] : [remedy]),
  ].map((line) => `${onTerminal(line)}\n`);
  if (run.steps.length === 0) return lines.join('');
  const steps = run.steps.map((step) => [
    step.step,
    step.state,
    step.startedAt,
    formatDuration(step.durationMs),
    progressText(step),
    step.text,
  ]);
  return `${lines.join('')}\n${formatColumns(['STEP', 'STATE', 'STARTED', 'TOOK', 'PROGRESS', 'TEXT'], steps)}`;
}

async function listRuns({ app, format, values, io }: AppCall): Promise<void> {
  const { readIgnored, readRuns } = await import('../app/seeing-answers.js');
  const asked = { app, path: 'runs', filters: FILTERS, values, io };
  if (textOf(values, 'state') === 'ignored') {
    const { items, more } = await askList(asked, readIgnored);
    const rows = items.map(({ at, times = 1, reference, reason }) => [at, `${times}`, reference, reason]);
    if (format.kind !== 'text') io.out(formatResult(format, { ignored: items }));
    else io.out(formatColumns(['AT', 'TIMES', 'REFERENCE', 'REASON'], rows));
    return tellMore(more, io);
  }
  const { items, more } = await askList(asked, readRuns);
  const headings = ['ID', 'STATE', 'WHAT', 'SOURCE', 'OPENED', 'TOOK', 'TRIGGER'];
  if (format.kind !== 'text') io.out(formatResult(format, { runs: items }));
  else io.out(formatColumns(headings, items.map(rowOf)));
  tellMore(more, io);
}

async function showRun({ app, format, operands, io }: AppCall): Promise<void> {
  const answer = await askApp(app, `runs/${encodeURIComponent(operandAt(operands, 0))}`, io);
  if (format.kind !== 'text') return io.out(formatResult(format, answer));
  io.out(runText((await import('../app/seeing-answers.js')).readShownRun(answer)));
}

async function cancel({ app, format, operands, values, io }: AppCall): Promise<void> {
  const id = operandAt(operands, 0);
  const { by, reason } = { by: textOf(values, 'by'), reason: textOf(values, 'reason') };
  const body = JSON.stringify({ ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) });
  const answer = await askApp(app, `runs/${encodeURIComponent(id)}/cancel`, io, body);
  io.out(format.kind === 'text' ? `Cancelled ${onTerminal(id)}\n` : formatResult(format, answer));
}

/** `runs`, `runs show` and `runs cancel`. */
export function addRuns(parent: Command, context: VerbContext): void {
  const listed = { add: (command: Command): void => addListOptions(command, FILTERS), isTable: true };
  const list = defineAppVerb(parent, context, LIST, listed, (call) =>
    call.operands.length === 0 ? listRuns(call) : showRun(call),
  ).enablePositionalOptions();
  defineAppVerb(list, context, SHOW, {}, showRun);
  const reasons = (command: Command): void =>
    void command
      .option('--by <name>', 'who asks for it; it is kept with the run')
      .option('--reason <text>', 'why; it is kept with the run');
  defineAppVerb(list, context, CANCEL, { add: reasons }, cancel);
}
