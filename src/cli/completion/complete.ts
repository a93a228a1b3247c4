import type { Command, Option } from 'commander';
import { below } from '../help-command.js';

const offered = new WeakMap<Command | Option, readonly string[]>();

/** Values that a shell offers for an option; the command may accept others. @param long with its dashes */
export function offerValues(command: Command, long: string, values: readonly string[]): void {
  const option = command.options.find((each) => each.long === long);
  if (option !== undefined) offered.set(option, values);
}

/** Words that a shell offers as operands of a command. */
export function offerOperands(command: Command, words: readonly string[]): void {
  offered.set(command, words);
}

/** A word that may come next on a command line. */
export interface Candidate {
  word: string;
  description: string;
}

function withoutDescription(word: string): Candidate {
  return { word, description: '' };
}

/**
 * The words that the last word of a command line may become. If there are none, the shell completes files.
 * @param words after the name of the program. bash makes three words of `--format=json`, the second is `=`
 */
export function complete(program: Command, words: readonly string[]): Candidate[] {
  const before = words.slice(0, -1).filter((word) => word !== '=');
  const typed = words.at(-1)?.replace(/^=$/, '') ?? '';
  const path = before[0] === 'help' ? before.slice(1) : before;
  const command = path.reduce((parent, word) => below(parent, word) ?? parent, program);
  // zsh, fish and PowerShell complete `--format=json` as one word.
  const [, long] = /^(--[\w-]+)=/.exec(typed) ?? [];
  const named = long ?? before.at(-1);
  const option = command.options.find((each) => each.long === named || each.short === named);
  const candidates =
    option?.required === true
      ? (offered.get(option) ?? []).map((value) => withoutDescription(long === undefined ? value : `${long}=${value}`))
      : typed.startsWith('-')
        ? optionsOf(command)
        : [...operandsOf(command), ...commandsOf(command)];
  return candidates.filter(({ word }) => word.startsWith(typed));
}

function optionsOf(command: Command): Candidate[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ long, description }) => (typeof long === 'string' ? [{ word: long, description }] : []));
}

function operandsOf(command: Command): Candidate[] {
  return (offered.get(command) ?? []).map(withoutDescription);
}

function commandsOf(command: Command): Candidate[] {
  // Without the `help` that commander adds to each command.
  const visible = command.createHelp().visibleCommands(command);
  return visible
    .filter((child) => command.commands.includes(child))
    .flatMap((child) =>
      [child.name(), ...child.aliases()].map((word) => ({ word, description: child.summary() || child.description() })),
    );
}
