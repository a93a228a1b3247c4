import type { Command } from 'commander';
import { formatDuration } from '../../promotion/duration.js';
import { formatColumns } from '../columns.js';
import type { Io } from '../io.js';
import { addFormatOptions, formatResult, resultFormat, type ResultFormat } from '../result.js';
import { onTerminal } from '../status-line.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { addListOptions, askList, tellMore, type Filters } from './app-lists.js';
import { addAppOptions, appOf, askApp } from './jobs-app.js';
import type { RunInList, ShownRun } from './seeing-answers.js';

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
    ['What was pushed and no rule wanted', 'acr-promoter runs --state ignored'],
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
  examples: [['Stop it', 'acr-promoter runs cancel 7zzyb3s4v9-8m1c0k5xq2w7e9rt']],
};
const FILTERS: Filters = [
  [
    'state',
    'state',
    'open, pending, running, ended, an outcome (promoted, failed, …), or ignored: events that no rule wanted',
  ],
  ['rule', 'name', 'those of this rule'],
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

async function listRuns(values: Values, format: ResultFormat, io: Io): Promise<void> {
  const { readIgnored, readRuns } = await import('./seeing-answers.js');
  const asked = { app: appOf(values, io), path: 'runs', filters: FILTERS, values, io };
  if (textOf(values, 'state') === 'ignored') {
    const { items, more } = await askList(asked, readIgnored);
    const rows = items.map(({ at, reference, reason }) => [at, reference, reason]);
    if (format.kind !== 'text') io.out(formatResult(format, { ignored: items }));
    else io.out(formatColumns(['AT', 'REFERENCE', 'REASON'], rows));
    return tellMore(more, io);
  }
  const { items, more } = await askList(asked, readRuns);
  const headings = ['ID', 'STATE', 'WHAT', 'SOURCE', 'OPENED', 'TOOK', 'TRIGGER'];
  if (format.kind !== 'text') io.out(formatResult(format, { runs: items }));
  else io.out(formatColumns(headings, items.map(rowOf)));
  tellMore(more, io);
}

async function showRun(id: string, values: Values, format: ResultFormat, io: Io): Promise<void> {
  const answer = await askApp(appOf(values, io), `runs/${encodeURIComponent(id)}`, io);
  if (format.kind !== 'text') return io.out(formatResult(format, answer));
  io.out(runText((await import('./seeing-answers.js')).readShownRun(answer)));
}

/** `runs`, `runs show` and `runs cancel`. */
export function addRuns(parent: Command, { io }: VerbContext): void {
  const addListed = (command: Command): void => {
    addListOptions(command, FILTERS);
    addAppOptions(command);
    addFormatOptions(command);
  };
  const addOptions = (command: Command): void => {
    addAppOptions(command);
    addFormatOptions(command);
  };
  const list = defineVerb(parent, { io }, LIST, addListed, (_session, [id], values) => {
    const format = resultFormat(values);
    return id === undefined ? listRuns(values, format, io) : showRun(id, values, format, io);
  }).enablePositionalOptions();
  defineVerb(list, { io }, SHOW, addOptions, (_session, operands, values) =>
    showRun(operandAt(operands, 0), values, resultFormat(values), io),
  );
  defineVerb(list, { io }, CANCEL, addOptions, async (_session, operands, values) => {
    const format = resultFormat(values);
    const id = operandAt(operands, 0);
    const answer = await askApp(appOf(values, io), `runs/${encodeURIComponent(id)}/cancel`, io, '{}');
    io.out(format.kind === 'text' ? `Cancelled ${onTerminal(id)}\n` : formatResult(format, answer));
  });
}
