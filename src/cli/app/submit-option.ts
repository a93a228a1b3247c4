import { InputError } from '../../oci/index.js';
import { confirm } from '../confirm.js';
import type { Io } from '../io.js';
import { type SubmittedVerb, type Asked, askedOf } from '../operation-verb.js';
import type { SubmitDoor } from '../verb.js';
import { addAppOptions, appOf, askApp, type App } from './ask-app.js';
import { inputToSend } from './inline-files.js';
import { addWaitOptions } from './poll.js';
import { isGood, submitText, type PrintRun } from '../verbs/jobs.js';
import { flagOf } from '../errors.js';

/** The options of `--submit` itself. */
const OWN = ['submit', 'wait', 'timeout', 'app', 'key', 'tty'];

/** Prints the output of a job. A job that has failed may have none. */
function ofResult(app: App, verb: SubmittedVerb, asked: Asked, io: Io): PrintRun {
  return async ({ result }, output) => {
    const { outcome = 'failed', digest } = result ?? {};
    if (output === undefined && !isGood(outcome)) return;
    const job = { outcome, ask: (path: string) => askApp(app, path, io) };
    await verb.print({ output, job, ...(digest !== undefined && { digest }) }, asked);
  };
}

/** @throws InputError `OPTION_NOT_IN_JOB` for an option that would have no effect in a job */
function checkOptions(asked: readonly string[], taken: readonly string[]): void {
  const refused = asked.filter((name) => !taken.includes(name));
  if (refused.length === 0) return;
  throw new InputError('OPTION_NOT_IN_JOB', `${refused.map(flagOf).join(', ')} cannot be used with --submit`, {
    remedy: 'Omit it, or omit --submit: the app has its own credentials, and writes no files on this machine.',
  });
}

/** Defines `--submit`: the app runs the command as a job. */
export function createSubmitDoor(io: Io): SubmitDoor {
  return {
    addOptions(command) {
      command
        .option('--submit', 'run the command in the app, as a job, instead of on this machine')
        .option('--wait', 'with --submit: wait until the job has ended, and print the output of the command');
      addWaitOptions(command);
      addAppOptions(command);
    },
    async submit({ verb, operands, values, asked: given }) {
      const app = appOf(values, io);
      const waits = values.wait === true;
      // Without --wait, the id of the job is printed in the requested format, unless the format belongs to the job.
      const shows = waits ? (verb.shows ?? []) : verb.takes.includes('format') ? [] : ['format', 'template'];
      const asked = askedOf(shows.length > 0 ? verb : { resultFormat: () => ({ kind: 'text' }) }, operands, values);
      checkOptions(given, [...OWN, ...verb.takes, ...shows]);
      const input = await verb.input(operands, values);
      if (verb.operation.endsWith('.delete') && values.force !== true) {
        if (!(await confirm(io, `Are you sure you want the app to delete ${operands[0] ?? ''}?`))) return;
      }
      const allowAbsolutePaths = values.disablePathValidation === true;
      const job = { operation: verb.operation, ...(await inputToSend(input, { allowAbsolutePaths, io })) };
      await submitText(JSON.stringify(job), {
        app,
        values,
        io,
        format: asked.format,
        ...(waits && { print: ofResult(app, verb, asked, io) }),
      });
    },
  };
}
