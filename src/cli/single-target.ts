import type { Command } from 'commander';
import { addConnectionOptions, connectionOf } from './connection.js';
import type { OpenTarget, Session } from './session.js';
import { parseTarget } from './target.js';
import { noTagOrDigest, textOf, type Values, type VerbDescription } from './verb.js';

/** The options of a verb that works on one target, in a registry or in a layout. */
export function addTargetOptions(command: Command): void {
  command
    .option('--oci-layout', 'the target is an OCI image layout: a folder or a tar archive')
    .option('--oci-layout-path <path>', 'the target is in the OCI image layout at this path');
  addConnectionOptions(command, '');
}

export function openTarget(session: Session, text: string, values: Values): Promise<OpenTarget> {
  const layoutPath = textOf(values, 'ociLayoutPath');
  const isLayout = values.ociLayout === true;
  const target = parseTarget(text, { isLayout, ...(layoutPath !== undefined && { layoutPath }) });
  return session.open(target, connectionOf(values, ''));
}

/** A target with its tag or digest. @throws UsageError */
export async function openTagOrDigest(
  session: Session,
  verb: VerbDescription,
  text: string,
  values: Values,
): Promise<OpenTarget & { tagOrDigest: string }> {
  const opened = await openTarget(session, text, values);
  const { tagOrDigest } = opened.target;
  if (tagOrDigest === undefined) throw noTagOrDigest(verb, text);
  return { ...opened, tagOrDigest };
}
