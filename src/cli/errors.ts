import type { Command, CommanderError } from 'commander';
import { hideCredentials, InputError } from '../oci/index.js';

/** The command line is wrong. As in oras, three lines report the problem, the usage and how to get help. */
export class UsageError extends InputError {
  /** `acr-promoter copy [flags] …` */
  readonly usage: string;

  constructor(message: string, options: { usage: string; advice: string }) {
    super('USAGE_INVALID', message, { remedy: options.advice });
    this.usage = options.usage;
  }
}

/** `acr-promoter repo tags` */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

/**
 * Reports what commander found wrong, in the words of oras, with the help of the called command. The value of an
 * unknown option is left out, because it may be a secret.
 */
export function formatWrongUse({ code, message }: CommanderError, command: Command): string {
  const [, flag = '', value] = /^error: [^']*'(-[^'=]*)(?:=(.*?))?'/s.exec(message) ?? [];
  const known = command.options.find(({ long, required }) => long === flag && !required);
  const [, suggestion] = /\(Did you mean (?:one of )?(.+)\?\)$/.exec(message) ?? [];
  const said = {
    'commander.unknownOption': flag.startsWith('--')
      ? known === undefined || value === undefined
        ? `unknown flag: ${flag}`
        : `invalid argument ${JSON.stringify(value)} for "${known.flags}" flag`
      : `unknown shorthand flag: '${flag.charAt(1)}' in -${flag.charAt(1)}`,
    'commander.optionMissingArgument': `flag needs an argument: ${/--[\w-]+/.exec(flag)?.[0] ?? flag}`,
    'commander.unknownCommand': `unknown command ${JSON.stringify(/'(.*)'/.exec(message)?.[1] ?? '')} for "${pathOf(command)}"`,
  }[code];
  return [
    `Error: ${hideCredentials(said ?? message.replace(/^error: /, ''))}`,
    ...(said === undefined || suggestion === undefined ? [] : [`Did you mean ${suggestion}?`]),
    `Run "${pathOf(command)} --help" for usage.\n`,
  ].join('\n');
}

/** The flag of an option, as it is written: `--ca-file` for `caFile`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Refuses options that exclude each other. An empty value counts as not given. @throws InputError `OPTIONS_EXCLUSIVE` */
export function refuseTogether(values: Readonly<Record<string, unknown>>, first: string, ...others: string[]): void {
  const isGiven = (name: string): boolean =>
    values[name] !== undefined && values[name] !== '' && values[name] !== false;
  const clash = isGiven(first) ? others.find(isGiven) : undefined;
  if (clash === undefined) return;
  throw new InputError('OPTIONS_EXCLUSIVE', `${flagOf(first)}, ${flagOf(clash)} cannot be used at the same time`);
}

/** The first error of a class in a chain of causes, five deep at most. */
export function causeOf<E extends Error>(error: unknown, kind: abstract new (...args: never[]) => E): E | undefined {
  let cause = error;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth += 1) {
    if (cause instanceof kind) return cause;
    ({ cause } = cause);
  }
  return undefined;
}
