import type { Command } from 'commander';
import type { Descriptor, ManifestOptions } from '../../oci/index.js';
import { parsePlatform, selectPlatform } from '../../oras/index.js';
import { addConnectionOptions, addDebugOption, connectionOf } from './connection.js';
import type { Io } from '../io.js';
import { readTarget } from './layout-options.js';
import type { OpenTarget, Session } from './session.js';
import { noTagOrDigest, operandAt, textOf, type Values, type VerbDescription } from '../verb.js';

/** The options of a verb that works on one target, in a registry or in a layout. */
export function addTargetOptions(command: Command): void {
  command
    .option('--oci-layout', 'the target is an OCI image layout: a folder or a tar archive')
    .option('--oci-layout-path <path>', 'the target is in the OCI image layout at this path');
  addDebugOption(addConnectionOptions(command, ''));
}

/** For verbs that work on one manifest. */
export function addPlatformOption(command: Command): void {
  command.option('--platform <os[/arch][/variant]>', 'choose this platform out of an index');
}

export function openTarget(
  session: Session,
  text: string,
  values: Values,
  options: { write?: boolean } = {},
): Promise<OpenTarget> {
  return session.open(readTarget(text, values), connectionOf(values, ''), options);
}

interface ResolveContext {
  operands: readonly string[];
  values: Values;
  io: Io;
  mediaTypes?: NonNullable<ManifestOptions['mediaTypes']>;
  /** It will be written to. */
  write?: boolean;
}

/** What a target names, as the platform that is asked for where one is. @throws UsageError */
export async function resolveTarget(
  session: Session,
  verb: VerbDescription,
  { operands, values, io, write = false, ...asked }: ResolveContext,
): Promise<OpenTarget & { root: Descriptor }> {
  const text = operandAt(operands, 0);
  const wanted = textOf(values, 'platform');
  const platform = wanted === undefined ? undefined : parsePlatform(wanted, io.architecture);
  const opened = await openTarget(session, text, values, { write });
  const { repository, target } = opened;
  if (target.tagOrDigest === undefined) throw noTagOrDigest(verb, text);
  const options = { signal: io.signal, ...asked };
  const named = await repository.resolve(target.tagOrDigest, options);
  return { ...opened, root: platform ? await selectPlatform(repository, named, platform, options) : named };
}
