import type { Command } from 'commander';
import { addConnectionOptions, addDebugOption } from './connection.js';

/** The options of a verb that works on one target, in a registry or in a layout. */
export function addTargetOptions(command: Command): void {
  command
    .option('--oci-layout', 'the target is an OCI image layout: a folder or a tar archive')
    .option('--oci-layout-path <path>', 'the target is in the OCI image layout at this path');
  addDebugOption(addConnectionOptions(command, ''));
}

/** Adds the options of verbs that work on one manifest. */
export function addPlatformOption(command: Command): void {
  command.option('--platform <os[/arch][/variant]>', 'only this platform of an index');
}
