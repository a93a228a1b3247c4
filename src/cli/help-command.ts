import type { Command } from 'commander';
import type { Io } from './io.js';

const isHelpFlag = (word: string): boolean => word === '-h' || word === '--help';

/** Finds a subcommand by its name. */
export function below(command: Command, word: string): Command | undefined {
  return command.commands.find((child) => child.name() === word || child.aliases().includes(word));
}

/**
 * `help manifest index create` prints the help of a command at any depth. An unknown topic is reported with exit code
 * 0, as in oras.
 */
export function addHelpCommand(program: Command, io: Io): void {
  program
    .command('help')
    .description('Show the help of a command')
    .argument('[command...]')
    .action((words: string[]) => {
      let command = program;
      for (const word of words) {
        const child = below(command, word);
        if (child === undefined) break;
        command = child;
      }
      if (words.length === 0 || command !== program) return command.outputHelp();
      io.err(`Unknown help topic ${JSON.stringify(words.join(' '))}\n${program.helpInformation()}`);
    });
}

/** Removes `--help` behind an unknown command, so that the command is reported as unknown. */
export function withoutVainHelp(argv: readonly string[], program: Command): readonly string[] {
  const [first] = argv;
  if (first === undefined || first.startsWith('-') || below(program, first) !== undefined) return argv;
  return argv.filter((word) => !isHelpFlag(word));
}
