import { Command, Option } from 'commander';
import { InputError, quoted } from '../oci/index.js';
import { addExamples, subcommandTerm, type Examples } from './help-text.js';
import { UsageError } from './errors.js';
import type { Io } from './io.js';
import { explainPlainHttp } from './connection/plain-http.js';
import { Session } from './connection/session.js';
import type { SubmittedVerb } from './operation-verb.js';

/** What every verb needs from its caller. */
export interface VerbContext {
  io: Io;
  /** Runs commands in a deployed app (`--submit`). If absent, all commands run locally. */
  door?: SubmitDoor;
}

/** Defines `--submit` of a verb, and submits commands. */
export interface SubmitDoor {
  addOptions(command: Command): void;
  submit(command: SubmittedCommand): Promise<void>;
}

/** A command that will run as a job. */
export interface SubmittedCommand {
  verb: SubmittedVerb;
  operands: readonly string[];
  values: Values;
  /** The options that were written on the command line. */
  asked: readonly string[];
}

export interface VerbDescription {
  /** The command as it is typed: `manifest fetch`. */
  path: string;
  /** The operands as the help shows them: `<name>{:<tag>|@<digest>}`. Empty if there are none. */
  operands: string;
  /** What the operands are, for the message about a wrong number: `the target artifact to discover referrers from`. */
  purpose?: string;
  /** The number of operands: exactly this, or at least this with `orMore`. */
  count: number;
  orMore?: true;
  /** Maximum number of operands. Default: `count`. */
  most?: number;
  summary: string;
  aliases?: readonly string[];
  examples: Examples;
}

/** Options as commander parses them. */
export type Values = Record<string, unknown>;

/** Verbs of oras whose `-v, --verbose` does nothing any more. */
const VERBOSE =
  /^(?:push|pull|attach|copy|discover|tag|resolve|login|manifest (?:fetch|fetch-config|push|delete)|blob (?:fetch|push|delete)|repo (?:ls|tags))$/;

/**
 * Defines a verb: its help, the number of its operands, and its work. The session is closed after the work.
 * @param operation only for verbs that the app can run: what `--submit` sends, and how its output is printed
 * @returns its command
 */
export function defineVerb(
  parent: Command,
  { io, door }: VerbContext,
  verb: VerbDescription,
  addOptions: (command: Command) => void,
  work: (session: Session, operands: string[], values: Values) => Promise<void>,
  operation?: SubmittedVerb,
): Command {
  const name = verb.path.split(' ').at(-1) ?? verb.path;
  const flagsAndOperands = `[flags] ${verb.operands}`.trimEnd();
  const usage = `acr-promoter ${verb.path} ${flagsAndOperands}`;
  const command = parent
    .command(name)
    .aliases([...(verb.aliases ?? [])])
    .summary(verb.summary)
    .description(verb.summary)
    .usage(flagsAndOperands)
    .argument('[operands...]')
    .configureHelp({ subcommandTerm, visibleArguments: () => [] });
  addExamples(command, verb.examples);
  addOptions(command);
  if (VERBOSE.test(verb.path)) command.addOption(new Option('-v, --verbose').hideHelp());
  if (operation !== undefined) door?.addOptions(command);
  command.action(async (operands: string[], values: Values) => {
    if (values.verbose === true)
      io.err('Flag --verbose has been deprecated, and will be removed in a future release.\n');
    for (const [name, flag] of [
      ['password', '--password'],
      ['identityToken', '--identity-token'],
    ] as const) {
      if (values[name] !== undefined) io.err(`WARNING! Using ${flag} via the CLI is insecure. Use ${flag}-stdin.\n`);
    }
    if (verb.operands === '' && operands.length > 0) refuseOperands(command, operands, { path: verb.path, usage });
    const most = verb.orMore === true ? Infinity : (verb.most ?? verb.count);
    if (operands.length < verb.count || operands.length > most) {
      const bound = verb.orMore === true ? 'at least' : most === verb.count ? 'exactly' : 'at most';
      const count = bound === 'at most' ? most : verb.count;
      const exactly = `${bound} ${count} ${count === 1 ? 'argument' : 'arguments'}`;
      throw new UsageError(`"acr-promoter ${verb.path}" requires ${exactly} but got ${operands.length}`, {
        usage,
        advice: `Please specify ${exactly} as ${verb.purpose ?? 'its operands'}. Run "acr-promoter ${verb.path} -h" for more options and examples`,
      });
    }
    if (door !== undefined && operation !== undefined) {
      const asked = Object.keys(values).filter((key) => command.getOptionValueSource(key) === 'cli');
      if (values.submit === true) return door.submit({ verb: operation, operands, values, asked });
      checkHere(command);
    }
    const session = new Session(io);
    try {
      await work(session, operands, values);
    } catch (error) {
      throw explainPlainHttp(session.explain(error), command, operands);
    } finally {
      await session.close();
    }
  });
  return command;
}

/**
 * Reports a mistyped subcommand as commander reports an unknown command, with a suggestion.
 * @throws CommanderError
 */
export function refuseSubcommand({ commands }: Command, operands: readonly string[]): void {
  const onlySubcommands = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  for (const each of commands) onlySubcommands.command(each.name());
  onlySubcommands.parse(['--', ...operands], { from: 'user' });
}

/**
 * Refuses operands of a command that takes none. If it has subcommands, the first operand is a mistyped one.
 * @throws CommanderError, UsageError
 */
function refuseOperands(
  command: Command,
  operands: readonly string[],
  { path, usage }: { path: string; usage: string },
): void {
  if (command.commands.length > 0) refuseSubcommand(command, operands);
  throw new UsageError(`"acr-promoter ${path}" takes no arguments but got ${operands.length}`, {
    usage,
    advice: `Run "acr-promoter ${path} -h" for more options and examples`,
  });
}

/**
 * Refuses options that have an effect only with `--submit` if it is missing.
 * @throws InputError `SUBMIT_MISSING`
 */
function checkHere(command: Command): void {
  const meant = ['wait', 'timeout', 'app', 'key'].filter((name) => command.getOptionValueSource(name) === 'cli');
  if (meant.length > 0) throw submitMissing(meant);
}

/** The error for options that need `--submit`. */
export function submitMissing(names: readonly string[]): InputError {
  return new InputError('SUBMIT_MISSING', `--${names.join(', --')} has no effect without --submit`, {
    remedy: 'Add --submit to run the command in the app, or omit the option.',
  });
}

/** The error for a target that has neither a tag nor a digest. */
export function noTagOrDigest(verb: Pick<VerbDescription, 'path' | 'operands'>, text: string): UsageError {
  return new UsageError(`${quoted(text, 500)}: no tag or digest specified`, {
    usage: `acr-promoter ${verb.path} [flags] ${verb.operands}`,
    advice: `Please specify a reference in the form of "<name>:<tag>" or "<name>@<digest>". Run "acr-promoter ${verb.path} -h" for more options and examples`,
  });
}

/** The value of a text option. An empty one (`--platform "$NONE"`) counts as not given, as in Go's tools. */
export function textOf(values: Values, name: string): string | undefined {
  return writtenOf(values, name) || undefined;
}

/** The value of a text option, which may be empty. Undefined if it is not given. */
export function writtenOf(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The operand at this position. {@link defineVerb} has checked the number of operands. */
export function operandAt(operands: readonly string[], index: number): string {
  return operands[index] ?? '';
}
