import type { Command } from 'commander';
import type { Io } from '../io.js';
import type { VerbContext } from '../verb.js';
import { VERSION } from '../../version.js';

/** What `version` and `--version` print, without a line end. */
export function versionText({ architecture }: Io): string {
  return `Version:      ${VERSION}\nNode version: ${process.version}\nOS/Arch:      ${process.platform}/${architecture}`;
}

/** `version` */
export function addVersion(parent: Command, { io }: VerbContext): void {
  parent
    .command('version')
    .summary('Show the version')
    .description('Show the version')
    .addHelpText('after', '\nExamples:\n  The version:\n    acr-promoter version')
    .action(() => io.out(`${versionText(io)}\n`));
}
