import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { InputError, PromoterError } from '../../oci/index.js';
import { formatGoJson } from '../../oras/index.js';
import { parseCount } from '../option-values.js';
import type { Io } from '../io.js';
import { formatResult, type ResultFormat } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import { operandAt, writtenOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import type { Run } from '../app/jobs-answers.js';
import { defineAppVerb, type AppCall } from '../app/app-verb.js';
import { askApp, type App } from '../app/jobs-app.js';

const SUBMIT: VerbDescription = {
  path: 'jobs submit',
  operands: '<file>',
  purpose: 'the file of the job, - for standard input',
  count: 1,
  summary: 'Hand a job to the app: one JSON object, as schemas/job.schema.json has it',
  examples: [
    ['A job out of a file', 'acr-promoter jobs submit --app https://myapp.azurewebsites.net job.json'],
    ['And wait for what comes of it', 'acr-promoter jobs submit --wait job.json'],
    [
      'A job that is typed',
      `echo '{"operation":"tags","reference":"r.azurecr.io/hello"}' | acr-promoter jobs submit --wait -`,
    ],
  ],
};
const STATUS: VerbDescription = {
  path: 'jobs status',
  operands: '<id>',
  purpose: 'the id of the job, or of its run',
  count: 1,
  summary: 'Show where a job stands',
  examples: [['Where it stands', 'acr-promoter jobs status my-copy-1']],
};
const WAIT: VerbDescription = {
  path: 'jobs wait',
  operands: '<id>',
  purpose: 'the id of the job, or of its run',
  count: 1,
  summary: 'Wait until a job has ended, and print what it has to show',
  examples: [
    ['Until it has ended', 'acr-promoter jobs wait my-copy-1'],
    ['Ten minutes at most', 'acr-promoter jobs wait --timeout 600 my-copy-1'],
  ],
};

const GOOD = new Set(['completed', 'promoted', 'unchanged', 'observed']);

/** Whether an outcome is a success. */
export function isGood(outcome: string): boolean {
  return GOOD.has(outcome);
}

/** Prints a run that has ended. @param output what it has to show; undefined where that is nothing */
export type PrintRun = (run: Run, output: unknown) => Promise<void> | void;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5_000;

async function readJob(path: string, io: Io): Promise<string> {
  if (path === '-') return io.readInput();
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new InputError('FILE_UNREADABLE', `${path} cannot be read`, { cause });
  }
}

async function askRun(app: App, id: string, io: Io): Promise<Run> {
  const answer = await askApp(app, `jobs/${encodeURIComponent(id)}`, io);
  return (await import('../app/jobs-answers.js')).readRun(answer);
}

function stateLine({ id, state, input, result }: Run): string {
  const { operation, id: jobId } = input.job;
  const ended = result && `${result.outcome}${result.code === undefined ? '' : ` (${result.code})`}`;
  return onTerminal(`${jobId}: ${operation}, ${ended ?? state}, run ${id}`);
}

function stepLine({ step, state, text }: Run['steps'][number]): string {
  return onTerminal(`  ${step} ${state}${text === '' ? '' : `: ${text}`}`);
}

/** Asks until the run has ended; what its steps say is told as it changes. */
async function waitFor(app: App, id: string, io: Io, timeoutSeconds: number): Promise<Run> {
  const started = Date.now();
  const told = new Map<string, string>();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    const run = await askRun(app, id, io);
    for (const step of run.steps) {
      const line = stepLine(step);
      if (told.get(step.step) !== line) io.err(`${line}\n`);
      told.set(step.step, line);
    }
    if (run.state === 'ended') return run;
    if (timeoutSeconds > 0 && Date.now() - started > timeoutSeconds * 1000) {
      throw new PromoterError('JOB_UNFINISHED', `${id} has not ended within ${timeoutSeconds} seconds`, {
        remedy: 'It goes on all the same: wait again, or look at its status.',
      });
    }
    await sleep(pauseMs, undefined, { signal: io.signal });
  }
}

/** What the job has to show, on standard output; an outcome that is none is an error. */
async function finish(app: App, run: Run, print: PrintRun, io: Io): Promise<void> {
  await print(run, run.output && (await askApp(app, `runs/${encodeURIComponent(run.id)}/output`, io)));
  const { outcome = 'failed', code, reason, remedy } = run.result ?? {};
  io.err(`${stateLine(run)}\n`);
  if (isGood(outcome)) return;
  throw new PromoterError(code ?? outcome.toUpperCase(), reason ?? `the job ended as ${outcome}`, {
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

function timeoutOf(values: Values): number {
  const text = writtenOf(values, 'timeout');
  return text === undefined ? 0 : parseCount(text, '--timeout', 0);
}

export function addWaitOptions(command: Command): void {
  command.option('--timeout <seconds>', 'maximum wait in seconds (default 0: no limit)');
}

async function submit({ app, format, operands, values, io }: AppCall): Promise<void> {
  timeoutOf(values);
  await submitText(await readJob(operandAt(operands, 0), io), { app, format, values, io });
}

interface Submission {
  app: App;
  /** Of what is printed of the job where nobody waits for it, and by default of what it has to show. */
  format: ResultFormat;
  print?: PrintRun;
  values: Values;
  io: Io;
}

/** Hands a job over, and with `--wait` waits for what it has to show. */
export async function submitText(text: string, submission: Submission): Promise<void> {
  const { app, format, values, io, print = asFormatted(format, io) } = submission;
  const timeoutSeconds = timeoutOf(values);
  const answer = await askApp(app, 'jobs', io, text);
  const submitted = (await import('../app/jobs-answers.js')).readSubmitted(answer);
  if (values.wait === true) {
    return finish(app, await waitFor(app, submitted.runId, io, timeoutSeconds), print, io);
  }
  const line = `Submitted ${submitted.id}\nRun ${submitted.runId}\n`;
  io.out(format.kind === 'text' ? line : formatResult(format, submitted));
}

/** `jobs submit`, `jobs status` and `jobs wait`. */
export function addJobs(parent: Command, context: VerbContext): void {
  const waiting = (command: Command): void => {
    command.option('--wait', 'wait until it has ended, and print what it has to show');
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
}
