import type { Command } from 'commander';
import type { Io } from '../io.js';
import { addFormatOptions, resultFormat, type ResultFormat } from '../output/result.js';
import { defineVerb, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { addAppOptions, appOf, type App } from './ask-app.js';

/** The call of a verb that asks the app. */
export interface AppCall {
  app: App;
  format: ResultFormat;
  operands: readonly string[];
  values: Values;
  io: Io;
}

interface AppVerbOptions {
  /** Adds the verb's own options, before the options that all these verbs have. */
  add?: (command: Command) => void;
  /** True if the text is a table: `--format table` is another name for it. Default: false. */
  isTable?: boolean;
}

/** Defines a verb that only asks the app, with options for its address, its key and the format of the answer. */
export function defineAppVerb(
  parent: Command,
  { io }: VerbContext,
  verb: VerbDescription,
  { add, isTable = false }: AppVerbOptions,
  work: (call: AppCall) => Promise<void>,
): Command {
  const addOptions = (command: Command): void => {
    add?.(command);
    addAppOptions(command);
    addFormatOptions(command, { isTable });
  };
  return defineVerb(parent, { io }, verb, addOptions, (_session, operands, values) => {
    const format = resultFormat(values, { isTable });
    return work({ app: appOf(values, io), format, operands, values, io });
  });
}
