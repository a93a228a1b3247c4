import type { Command } from 'commander';
import { isDigest } from '../oci/index.js';
import { withoutOwnName } from '../oras/index.js';
import type { JobOperation } from '../operations/job-schema.js';
import type { Opened, OperationResult } from '../operations/operation.js';
import { connectionOf } from './connection/connection.js';
import { type ResultFormat, resultFormat } from './output/result.js';
import { readTarget } from './connection/layout-options.js';
import type { OpenTarget, Session } from './connection/session.js';
import { firstOf, nameOf, type Target } from './connection/target.js';
import { defineVerb, noTagOrDigest, operandAt, type Values, type VerbContext, type VerbDescription } from './verb.js';

/** The output of an operation that the app has run. */
export interface JobOutput {
  output: unknown;
  digest?: string;
  job: {
    /** `completed`, `promoted`, … */
    outcome: string;
    /** Sends another request to the app. */
    ask: (path: string) => Promise<unknown>;
  };
}

/** The output of an operation that ran locally. */
interface OutputHere<O> {
  output: O;
  digest?: string;
  job?: undefined;
}

/** What the user typed, and the format of the output that it selects. */
export interface Asked {
  operands: readonly string[];
  values: Values;
  format: ResultFormat;
}

/** What `--submit` needs from a verb. */
export interface SubmittedVerb {
  operation: JobOperation;
  /** Options that `input` reads; `--submit` refuses any other. */
  takes: readonly string[];
  /** Options that select the format of the output. */
  shows?: readonly string[];
  /** The format of the output, if these options also say something else. */
  resultFormat?: (values: Values) => ResultFormat;
  /** The operation's input, from the flags, which are all checked here. It is run locally or sent as a job. */
  input(operands: readonly string[], values: Values): Promise<object> | object;
  print(shown: JobOutput, asked: Asked): Promise<void> | void;
}

/** A verb with one operation. */
export interface OperationVerb<I extends object, O> extends SubmittedVerb {
  input(operands: readonly string[], values: Values): Promise<I> | I;
  /**
   * Opens the target of the operation, and runs it locally.
   * @returns undefined if there is nothing to print
   */
  run(session: Session, input: I, asked: Asked): Promise<OperationResult<O> | undefined>;
  print(shown: JobOutput | OutputHere<O>, asked: Asked): Promise<void> | void;
}

/** @throws InputError `OPTION_INVALID`, `OPTIONS_EXCLUSIVE` if the format is wrong */
export function askedOf(verb: Pick<SubmittedVerb, 'resultFormat'>, operands: readonly string[], values: Values): Asked {
  return { operands, values, format: (verb.resultFormat ?? resultFormat)(values) };
}

/** Defines a verb with one operation: it runs locally, or as a job of the app with `--submit`. */
export function defineOperation<I extends object, O>(
  parent: Command,
  context: VerbContext,
  verb: VerbDescription,
  addOptions: (command: Command) => void,
  operation: OperationVerb<I, O>,
): Command {
  const here = async (session: Session, operands: readonly string[], values: Values): Promise<void> => {
    const asked = askedOf(operation, operands, values);
    const input = await operation.input(operands, values);
    const result = await operation.run(session, input, asked);
    if (result === undefined) return;
    const { output, digest, refusal } = result;
    await operation.print({ output, ...(digest !== undefined && { digest }) }, asked);
    if (refusal !== undefined) throw refusal;
  };
  return defineVerb(parent, context, verb, addOptions, here, operation);
}

/** How a target is opened. */
interface OpenOptions {
  /** Creates a missing layout. */
  create?: boolean;
  write?: boolean;
  /** `name:t1,t2` is allowed. */
  severalTags?: boolean;
}

/** Opens the target of the first operand. */
export async function openOperand(
  session: Session,
  operands: readonly string[],
  values: Values,
  { severalTags = false, ...options }: OpenOptions = {},
): Promise<Opened & { target: Target }> {
  const target = readTarget(operandAt(operands, 0), values, { severalTags });
  return openedOf(await session.open(target, connectionOf(values, ''), options));
}

/** A target as the input of an operation. */
export function openedOf({ target, repository }: OpenTarget): Opened & { target: Target } {
  const { tagOrDigest } = target;
  if (tagOrDigest === undefined) return { target, repository };
  return { target, repository, ...(isDigest(tagOrDigest) ? { digest: tagOrDigest } : { tag: tagOrDigest }) };
}

/**
 * Opens the target of a verb that needs a tag or digest.
 * @throws UsageError
 */
export function openNamed(
  session: Session,
  verb: VerbDescription,
  { operands, values }: Pick<Asked, 'operands' | 'values'>,
  options: OpenOptions = {},
): Promise<Opened & { target: Target }> {
  readNamed(verb, operandAt(operands, 0), values);
  return openOperand(session, operands, values, options);
}

/** A target that names a tag or digest. @throws UsageError */
export function readNamed(verb: VerbDescription, text: string, values: Values): Target {
  const target = readTarget(text, values);
  if (target.tagOrDigest === undefined) throw noTagOrDigest(verb, text);
  return target;
}

/**
 * Tags and digests of the target's repository. The user may write them with the repository's name; the operation's
 * input has them without it.
 */
export function ownNames(target: Target, texts: readonly string[]): string[] {
  const named = { name: nameOf(target), isLocal: target.kind === 'oci-layout' };
  return texts.map((text) => withoutOwnName(named, text));
}

/** The names as the user wrote them, for the output. */
export function writtenNames(target: Target, texts: readonly string[]): (name: string) => string {
  const written = new Map(texts.map((text) => [ownNames(target, [text]).join(), text]));
  return (name) => written.get(name) ?? name;
}

/** The reference of `name:t1,t2` with the first tag, and the other tags. */
export function severalTags(target: Target): { reference: string; tags?: string[] } {
  const [, ...others] = target.tags;
  return { reference: firstOf(target), ...(others.length > 0 && { tags: others }) };
}
