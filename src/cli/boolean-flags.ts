import { describeCommands } from './command-words.js';
import type { Command } from 'commander';

/** As Go reads them. */
const WORDS: Readonly<Record<string, boolean>> = Object.fromEntries([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((word) => [word, false] as const),
]);

/**
 * oras takes `--plain-http=false` and `--pretty=true`, and commander no value with a flag that has none: they are written out
 * as it takes them. What is off as it comes is left out.
 */
export function writeOutBooleans(argv: readonly string[], program: Command): string[] {
  const match = (argument: string): RegExpExecArray | null => /^--([\w-]+)=(\w+)$/.exec(argument);
  // Most lines have none of these: then nothing is looked up.
  if (!argv.some((argument) => WORDS[match(argument)?.[2] ?? ''] !== undefined)) return [...argv];
  const options = describeCommands(program).flatMap((command) => command.options);
  const takeValue = new Set(options.filter(({ takesValue }) => takesValue).map(({ long }) => long));
  const flags = new Set(options.map(({ long }) => long).filter((long) => !takeValue.has(long)));
  return argv.flatMap((argument) => {
    const [, name = '', word = ''] = match(argument) ?? [];
    const isOn = WORDS[word];
    if (isOn === undefined || !flags.has(`--${name}`)) return [argument];
    if (isOn) return [`--${name}`];
    if (name.startsWith('no-')) return [`--${name.slice(3)}`];
    const negated = `--no-${name}`;
    return flags.has(negated) ? [negated] : [];
  });
}
