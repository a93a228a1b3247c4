import type { Command } from 'commander';
import type { VerbContext } from '../verb.js';
import { VERSION } from '../../version.js';

export function addVersion(parent: Command, { io }: VerbContext): void {
  parent
    .command('version')
    .summary('Show the version')
    .description('Show the version')
    .addHelpText('after', '\nExamples:\n  The version:\n    acr-promoter version')
    .action(() => {
      io.out(
        `Version:      ${VERSION}\nNode version: ${process.version}\nOS/Arch:      ${process.platform}/${io.architecture}\n`,
      );
    });
}
