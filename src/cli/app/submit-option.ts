import { confirm } from '../confirm.js';
import type { Io } from '../io.js';
import { resultFormat } from '../output/result.js';
import type { JobPrinter, SubmitDoor } from '../verb.js';
import { addAppOptions, appOf, askApp, type App } from './jobs-app.js';
import { jobOfVerb, takesOption } from './jobs-from-verb.js';
import { isGood, submitText, type PrintRun } from '../verbs/jobs.js';
import { addWaitOptions } from './poll.js';

/** The options of the door itself. */
const OWN = ['submit', 'wait', 'timeout', 'app', 'key', 'tty'];

/** A job that has failed and has nothing to show leaves nothing to print. */
function ofResult(app: App, print: ReturnType<JobPrinter['prepare']>, io: Io): PrintRun {
  return async ({ result }, output) => {
    const { outcome = 'failed', digest } = result ?? {};
    if (output === undefined && !isGood(outcome)) return;
    await print({ output, outcome, ask: (path) => askApp(app, path, io), ...(digest !== undefined && { digest }) });
  };
}

/** `--submit`: a command becomes a job of the app, instead of running here. */
export function createSubmitDoor(io: Io): SubmitDoor {
  return {
    addOptions(command) {
      command
        .option('--submit', 'hand it to the app as a job, instead of doing it here')
        .option('--wait', 'with --submit: wait until it has ended, and print what the command prints');
      addWaitOptions(command);
      addAppOptions(command);
    },
    async submit({ path, operands, values, asked, printer }) {
      const app = appOf(values, io);
      const waits = values.wait === true;
      // Where nobody waits, what is printed is the job's id: in its format, unless that says what the job is to make.
      const printing = waits ? printer.options : takesOption(path, 'format') ? [] : ['format', 'template'];
      const format = !waits && printing.length > 0 ? resultFormat(values) : ({ kind: 'text' } as const);
      const print = waits ? printer.prepare(operands, values) : undefined;
      const wished = asked.filter((name) => !OWN.includes(name) && !printing.includes(name));
      if (path.endsWith(' delete') && values.force !== true) {
        if (!(await confirm(io, `Are you sure you want the app to delete ${operands[0] ?? ''}?`))) return;
      }
      const job = await jobOfVerb(path, { operands, values, asked: wished, io });
      const text = JSON.stringify({ ...job, ...(waits && printer.job) });
      await submitText(text, { app, values, io, format, ...(print && { print: ofResult(app, print, io) }) });
    },
  };
}
