import { confirm } from '../confirm.js';
import type { Io } from '../io.js';
import { resultFormat } from '../result.js';
import type { SubmitDoor } from '../verb.js';
import { addAppOptions, appOf } from './jobs-app.js';
import { isJobVerb, jobOfVerb, takesOption } from './jobs-from-verb.js';
import { addWaitOptions, submitText } from './jobs.js';

/** The options of the door itself. */
const OWN = ['submit', 'wait', 'timeout', 'app', 'key', 'tty'];

/** `--submit`: a command becomes a job of the app, instead of running here. */
export function createSubmitDoor(io: Io): SubmitDoor {
  return {
    takes: isJobVerb,
    addOptions(command) {
      command
        .option('--submit', 'hand it to the app as a job, instead of doing it here')
        .option('--wait', 'with --submit: wait until it has ended, and print what it has to show');
      addWaitOptions(command);
      addAppOptions(command);
    },
    async submit(path, operands, values, asked) {
      const app = appOf(values, io);
      // Of a job that has a format of its own, it says what is made; of any other, how it is printed.
      const own = takesOption(path, 'format') ? OWN : [...OWN, 'format', 'template'];
      const format = own.includes('format') ? resultFormat(values) : ({ kind: 'text' } as const);
      const wished = asked.filter((name) => !own.includes(name));
      if (path.endsWith(' delete') && values.force !== true) {
        if (!(await confirm(io, `Are you sure you want the app to delete ${operands[0] ?? ''}?`))) return;
      }
      const job = await jobOfVerb(path, { operands, values, asked: wished, io });
      await submitText(JSON.stringify(job), { app, format, values, io });
    },
  };
}
