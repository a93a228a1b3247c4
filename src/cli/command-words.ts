import type { Command } from 'commander';

/** What can follow one command on the line. */
export interface CommandWords {
  /** Words that lead to it, each with a space before it: ` manifest fetch`; empty for the program itself. */
  path: string;
  subcommands: { name: string; description: string }[];
  options: { long: string; short?: string; description: string; takesValue: boolean }[];
}

/** The command and all below it, aliases as commands of their own. */
export function describeCommands(command: Command, path = ''): CommandWords[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command).flatMap((child) => {
    return [child.name(), ...child.aliases()].map((name) => ({ name, child }));
  });
  const own: CommandWords = {
    path,
    subcommands: below.map(({ name, child }) => ({ name, description: child.summary() || child.description() })),
    options: help
      .visibleOptions(command)
      .flatMap(({ long, short, description, required, optional }) =>
        typeof long !== 'string'
          ? []
          : [{ long, ...(typeof short === 'string' && { short }), description, takesValue: required || optional }],
      ),
  };
  return [own, ...below.flatMap(({ name, child }) => describeCommands(child, `${path} ${name}`))];
}
