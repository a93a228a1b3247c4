import type { Command } from 'commander';
import { PromoterError } from '../../oci/index.js';
import { readOperand } from '../files.js';
import { formatGoJson } from '../../oras/index.js';
import type { Io } from '../io.js';
import { formatResult, type ResultFormat } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import { operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { defineAppVerb, type AppCall } from '../app/app-verb.js';
import { addListOptions, NAME_FILTERS, showList, SINCE_FILTER, type Filters } from '../app/app-lists.js';
import { addCancelOptions, cancelRun } from '../app/cancel.js';
import { askApp, type App } from '../app/ask-app.js';
import { addWaitOptions, pollUntil, timeoutOf } from '../app/poll.js';
import type { JobRun, RunInList } from '../app/answers.js';
import type { Column } from '../output/table.js';
import { RUN_COLUMNS } from './runs.js';

const SUBMIT: VerbDescription = {
  path: 'jobs submit',
  operands: '<file>',
  purpose: 'the file of the job, - for standard input',
  count: 1,
  summary: 'Submit a job, one JSON object (schemas/job.schema.json)',
  examples: [
    ['From a file', 'acr-promoter jobs submit --app https://myapp.azurewebsites.net job.json'],
    ['Wait for the result', 'acr-promoter jobs submit --wait job.json'],
    [
      'From standard input',
      `echo '{"operation":"tags","reference":"r.azurecr.io/hello"}' | acr-promoter jobs submit --wait -`,
    ],
  ],
};
const STATUS: VerbDescription = {
  path: 'jobs status',
  operands: '<id>',
  purpose: 'the id of the job, or of its run',
  count: 1,
  summary: 'Show the state of a job',
  examples: [['State and steps', 'acr-promoter jobs status my-copy-1']],
};
const WAIT: VerbDescription = {
  path: 'jobs wait',
  operands: '<id>',
  purpose: 'the id of the job, or of its run',
  count: 1,
  summary: 'Wait until a job has ended, and print its output',
  examples: [
    ['Without a limit', 'acr-promoter jobs wait my-copy-1'],
    ['Ten minutes at most', 'acr-promoter jobs wait --timeout 600 my-copy-1'],
  ],
};

const LIST: VerbDescription = {
  path: 'jobs list',
  operands: '',
  count: 0,
  summary: 'List jobs, newest first',
  examples: [
    ['The jobs of the last hour', 'acr-promoter jobs list --since 1h'],
    ['Copies that failed', 'acr-promoter jobs list --operation copy --state failed'],
  ],
};
const CANCEL: VerbDescription = {
  path: 'jobs cancel',
  operands: '<id>',
  purpose: 'the id of the job, or of its run',
  count: 1,
  summary: 'Cancel a job',
  examples: [
    ['Cancel a job, and record who and why', "acr-promoter jobs cancel --by ana --reason 'the wrong tag' my-copy-1"],
  ],
};
const FILTERS: Filters = [
  ['state', 'state', 'open, pending, running, ended, or an outcome: completed, failed, cancelled, …'],
  ['operation', 'name', 'only this operation, such as copy'],
  ...NAME_FILTERS.filter(([name]) => name !== 'rule'),
  SINCE_FILTER,
];
/** A job, as its list has it: its id is the one that `jobs status` takes. */
type JobInList = RunInList & { runId: string };

const COLUMNS: readonly Column<JobInList>[] = [
  {
    heading: 'ID',
    // The app's own ids have 36 characters.
    text: ({ id }) => (id.length > 36 ? `${id.slice(0, 35)}…` : id),
    wideText: ({ id }) => id,
  },
  RUN_COLUMNS.state,
  RUN_COLUMNS.code,
  { heading: 'OPERATION', text: ({ operation = '' }) => operation },
  RUN_COLUMNS.source,
  RUN_COLUMNS.age,
  RUN_COLUMNS.took,
  { heading: 'RUN', text: ({ runId }) => runId, isWide: true },
];

/** Maximum bytes of a job: the app takes fewer. `TOO_LARGE` */
const JOB_BYTES = 16 * 1024 * 1024;

const GOOD = new Set(['completed', 'promoted', 'unchanged', 'observed']);

/** True if an outcome is a success. */
export function isGood(outcome: string): boolean {
  return GOOD.has(outcome);
}

/** Prints a run that has ended. @param output undefined if it has none */
export type PrintRun = (run: JobRun, output: unknown) => Promise<void> | void;

async function askRun(app: App, id: string, io: Io): Promise<JobRun> {
  const answer = await askApp(app, `jobs/${encodeURIComponent(id)}`, io);
  return (await import('../app/answers.js')).readJobRun(answer);
}

function stateLine({ id, state, input, result }: JobRun): string {
  const { operation, id: jobId } = input.job;
  const ended = result && `${result.outcome}${result.code === undefined ? '' : ` (${result.code})`}`;
  return onTerminal(`${jobId}: ${operation}, ${ended ?? state}, run ${id}`);
}

function stepLine({ step, state, text }: JobRun['steps'][number]): string {
  return onTerminal(`  ${step} ${state}${text === '' ? '' : `: ${text}`}`);
}

/** Polls until the run has ended. Prints the progress of its steps when it changes. */
async function waitFor(app: App, id: string, io: Io, timeoutSeconds: number): Promise<JobRun> {
  const shown = new Map<string, string>();
  const ask = async (): Promise<JobRun | undefined> => {
    const run = await askRun(app, id, io);
    for (const step of run.steps) {
      const line = stepLine(step);
      if (shown.get(step.step) !== line) io.err(`${line}\n`);
      shown.set(step.step, line);
    }
    return run.state === 'ended' ? run : undefined;
  };
  return pollUntil(ask, { io, timeoutSeconds, what: id });
}

/** Prints the output of the job. @throws PromoterError if the job did not succeed */
async function finish(app: App, run: JobRun, print: PrintRun, io: Io): Promise<void> {
  await print(run, run.output && (await askApp(app, `runs/${encodeURIComponent(run.id)}/output`, io)));
  io.err(`${stateLine(run)}\n`);
  throwUnlessGood(run.result, 'job');
}

/** @throws PromoterError with the code of a result that is not a success */
export function throwUnlessGood(result: JobRun['result'], what: 'job' | 'run'): void {
  const { outcome = 'failed', code, reason, remedy } = result ?? {};
  if (isGood(outcome)) return;
  throw new PromoterError(code ?? outcome.toUpperCase(), reason ?? `the ${what} ended as ${outcome}`, {
    ...(remedy !== undefined && { remedy }),
  });
}

function asFormatted(format: ResultFormat, io: Io): PrintRun {
  return (run, output) => {
    if (format.kind !== 'text') io.out(formatResult(format, { ...run, output }));
    else if (typeof output === 'string') io.out(`${output}\n`);
    else if (output !== undefined) io.out(`${formatGoJson(output, 2)}\n`);
  };
}

async function submit({ app, format, operands, values, io }: AppCall): Promise<void> {
  timeoutOf(values);
  const job = await readOperand(operandAt(operands, 0), JOB_BYTES, io);
  await submitText(Buffer.from(job).toString('utf8'), { app, format, values, io });
}

interface Submission {
  app: App;
  /** The format of the job's id, or, after a wait, of its output. */
  format: ResultFormat;
  print?: PrintRun;
  values: Values;
  io: Io;
}

/** Submits a job. With `--wait`, it waits and prints the output. */
export async function submitText(text: string, submission: Submission): Promise<void> {
  const { app, format, values, io, print = asFormatted(format, io) } = submission;
  const timeoutSeconds = timeoutOf(values);
  const answer = await askApp(app, 'jobs', io, text);
  const submitted = (await import('../app/answers.js')).readSubmitted(answer);
  if (values.wait === true) {
    return finish(app, await waitFor(app, submitted.runId, io, timeoutSeconds), print, io);
  }
  const line = `Submitted ${submitted.id}\nRun ${submitted.runId}\n`;
  io.out(format.kind === 'text' ? line : formatResult(format, submitted));
}

async function listJobs(call: AppCall): Promise<void> {
  const { readRuns } = await import('../app/answers.js');
  const idOf = ({ runId }: JobInList): string => runId;
  const view = { path: 'runs', query: { kind: 'job' }, filters: FILTERS, name: 'jobs', columns: COLUMNS, idOf };
  const read = (answer: unknown): { items: JobInList[]; next?: string | undefined } => {
    const { items, next } = readRuns(answer);
    return { items: items.map(({ id, jobId = id, ...run }) => ({ ...run, id: jobId, runId: id })), next };
  };
  await showList(call, { ...view, read });
}

/** `jobs submit`, `status`, `wait`, `list` and `cancel`. */
export function addJobs(parent: Command, context: VerbContext): void {
  const waiting = (command: Command): void => {
    command.option('--wait', 'wait until the job has ended, and print its output');
    addWaitOptions(command);
  };
  defineAppVerb(parent, context, SUBMIT, { add: waiting }, submit);
  defineAppVerb(parent, context, STATUS, {}, async ({ app, format, operands, io }) => {
    const run = await askRun(app, operandAt(operands, 0), io);
    const lines = [stateLine(run), ...run.steps.map(stepLine)];
    io.out(format.kind === 'text' ? `${lines.join('\n')}\n` : formatResult(format, run));
  });
  defineAppVerb(parent, context, WAIT, { add: addWaitOptions }, async ({ app, format, operands, values, io }) => {
    const run = await waitFor(app, operandAt(operands, 0), io, timeoutOf(values));
    await finish(app, run, asFormatted(format, io), io);
  });
  const listed = { add: (command: Command): void => addListOptions(command, FILTERS), isTable: true };
  defineAppVerb(parent, context, LIST, listed, listJobs);
  defineAppVerb(parent, context, CANCEL, { add: addCancelOptions }, async (call) => {
    const { id, input } = await askRun(call.app, operandAt(call.operands, 0), call.io);
    await cancelRun(call, id, input.job.id);
  });
}
