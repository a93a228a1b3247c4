import type { Command, Option } from 'commander';
import { below } from './help-command.js';

/** Boolean words, as Go reads them. */
const WORDS: Readonly<Record<string, boolean>> = Object.fromEntries([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((word) => [word, false] as const),
]);

/** A command's options by all their names. */
function optionsOf({ options }: Command): Map<string, Option> {
  return new Map(
    options.flatMap((option) =>
      [option.long, option.short].flatMap((name) => (name === undefined ? [] : [[name, option] as const])),
    ),
  );
}

/** Rewrites a boolean flag that has a value. @returns undefined if the value is not a boolean; nothing for a flag that is off by default */
function writeOutBoolean(long: string, word: string, options: ReadonlyMap<string, Option>): string[] | undefined {
  const isOn = WORDS[word];
  if (isOn === undefined) return undefined;
  if (isOn) return [long];
  if (long.startsWith('--no-')) return [`--${long.slice('--no-'.length)}`];
  const negated = `--no-${long.slice(2)}`;
  return options.has(negated) ? [negated] : [];
}

/** Rewrites `-o=file`, `-l=true` and `-ko=folder`: letters, the last with its value. Unknown letters stay as they are. */
function writeOutLetters(argument: string, options: ReadonlyMap<string, Option>): string[] {
  const out: string[] = [];
  for (let rest = argument.slice(1); rest !== ''; rest = rest.slice(1)) {
    const letter = `-${rest.charAt(0)}`;
    const option = options.get(letter);
    if (option === undefined) return [...out, `-${rest}`];
    const value = /^.=(.+)$/s.exec(rest)?.[1];
    if (option.required) return [...out, ...(value === undefined ? [`-${rest}`] : [`${letter}${value}`])];
    if (value !== undefined) {
      return [
        ...out,
        ...(writeOutBoolean(option.long ?? letter, value, options) ?? [`${option.long ?? letter}=${value}`]),
      ];
    }
    out.push(letter);
  }
  return out;
}

/** A command line as commander takes it, and the command that it names. */
export interface ReadLine {
  argv: string[];
  command: Command;
}

/**
 * Rewrites flags as commander takes them. oras accepts `--plain-http=false`, `-l=true`, `-o=file` and `-ko=folder`;
 * commander accepts no value for a flag that takes none, and no equals sign after a short flag. The word that follows a
 * flag as its value stays as it is.
 */
export function readLine(argv: readonly string[], program: Command): ReadLine {
  let command = program;
  let options = optionsOf(program);
  const out: string[] = [];
  let isValue = false;
  let isOperand = false;
  for (const [at, argument] of argv.entries()) {
    if (isValue) {
      out.push(argument);
      isValue = false;
    } else if (argument === '--') {
      return { argv: [...out, ...argv.slice(at)], command };
    } else if (!argument.startsWith('-') || argument === '-') {
      const child: Command | undefined = isOperand ? undefined : below(command, argument);
      isOperand ||= child === undefined;
      command = child ?? command;
      options = optionsOf(command);
      out.push(argument);
    } else {
      const [, name = '', word = ''] = /^(--[\w-]+)=(.*)$/s.exec(argument) ?? [];
      const option = options.get(name);
      const written = option?.required === false ? writeOutBoolean(name, word, options) : undefined;
      out.push(...(written ?? (argument.startsWith('--') ? [argument] : writeOutLetters(argument, options))));
      isValue = options.get(out.at(-1) ?? '')?.required === true;
    }
  }
  return { argv: out, command };
}
