import type { Command } from 'commander';
import type { Io } from '../io.js';
import { addFormatOptions, resultFormat, type ResultFormat } from '../output/result.js';
import { defineVerb, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { addAppOptions, appOf, type App } from './jobs-app.js';

/** What a verb that asks the app is called with. */
export interface AppCall {
  app: App;
  format: ResultFormat;
  operands: readonly string[];
  values: Values;
  io: Io;
}

interface AppVerbOptions {
  /** The verb's own, before those that all of them have. */
  add?: (command: Command) => void;
  /** Its text is a table, which is a name for it then. Default: false. */
  isTable?: boolean;
}

/** Defines a verb that does nothing here but ask the app: with its address, its key, and a format of what it answers. */
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
