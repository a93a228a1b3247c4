import { Option, type Command } from 'commander';
import { addFormatOptions, resultFormat } from '../result.js';
import { defineVerb, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { addAppOptions, appOf } from './jobs-app.js';
import { addWaitOptions, submitText } from './jobs.js';

/**
 * A verb that only the app can do, since its rules, its tools and its key are there: always handed over as a job.
 * @param make the job
 */
export function defineAppVerb(
  parent: Command,
  { io }: VerbContext,
  verb: VerbDescription,
  addOptions: (command: Command) => void,
  make: (reference: string, values: Values) => Promise<object> | object,
): void {
  const options = (command: Command): void => {
    addOptions(command);
    command.option('--wait', 'wait until it has ended, and print what it has to show');
    addWaitOptions(command);
    addAppOptions(command);
    addFormatOptions(command);
    // What other verbs need to be handed over; here there is no other way.
    command.addOption(new Option('--submit').hideHelp());
  };
  defineVerb(parent, { io }, verb, options, async (_session, [reference = ''], values) => {
    const format = resultFormat(values);
    const app = appOf(values, io);
    await submitText(JSON.stringify(await make(reference, values)), { app, format, values, io });
  });
}

/** `--platform` of a job. */
export function addPlatformOption(command: Command): void {
  command.option('--platform <os[/arch][/variant]>', 'choose this platform out of an index');
}

/** Where it was given. */
export function platformOf({ platform }: Values): { platform?: unknown } {
  return platform === undefined ? {} : { platform };
}
