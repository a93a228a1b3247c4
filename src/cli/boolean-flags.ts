import { describeCommands } from './command-words.js';
import type { Command } from 'commander';

/** As Go reads them. */
const WORDS: Readonly<Record<string, boolean>> = Object.fromEntries([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((word) => [word, false] as const),
]);

/** `--plain-http=false`, `-l=true`, `-o=file`. */
function split(argument: string): { name: string; word: string } | undefined {
  const [, name, word] = /^(--[\w-]+|-[A-Za-z])=(.*)$/s.exec(argument) ?? [];
  return name === undefined || word === undefined ? undefined : { name, word };
}

/**
 * oras takes `--plain-http=false`, `-l=true` and `-o=file`, and commander neither a value with a flag that has none nor an equals
 * sign behind a letter: they are written out as it takes them. What is off as it comes is left out.
 */
export function writeOutFlags(argv: readonly string[], program: Command): string[] {
  const isOdd = (argument: string): boolean => {
    const { name = '', word = '' } = split(argument) ?? {};
    return name !== '' && (!name.startsWith('--') || WORDS[word] !== undefined);
  };
  // Most lines have none of these: then nothing is looked up.
  if (!argv.some(isOdd)) return [...argv];
  const options = describeCommands(program).flatMap((command) => command.options);
  const taking = options.filter(({ takesValue }) => takesValue);
  const withValue = new Set(taking.flatMap(({ long, short }) => [long, short ?? long]));
  const longOf = new Map(options.flatMap(({ long, short }) => [[long, long] as const, [short ?? long, long] as const]));
  const end = argv.indexOf('--');
  return argv.flatMap((argument, at) => {
    const { name = '', word = '' } = split(argument) ?? {};
    if (name === '' || (end >= 0 && at > end)) return [argument];
    if (withValue.has(name)) return name.startsWith('--') ? [argument] : [name, word];
    const [isOn, long] = [WORDS[word], longOf.get(name)];
    if (isOn === undefined || long === undefined) return [argument];
    if (isOn) return [long];
    if (long.startsWith('--no-')) return [`--${long.slice('--no-'.length)}`];
    const negated = `--no-${long.slice(2)}`;
    return longOf.has(negated) ? [negated] : [];
  });
}
