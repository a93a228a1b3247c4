import type { Command, Option } from 'commander';

/** What can follow one command on the line. */
export interface CommandWords {
  /** The words of the command, each with a space before it: ` manifest fetch`. Empty for the program itself. */
  path: string;
  subcommands: { name: string; description: string }[];
  options: {
    long: string;
    short?: string;
    description: string;
    takesValue: boolean;
    /** The values that the shell offers, if there are only a few. */
    values?: readonly string[];
  }[];
}

const offered = new WeakMap<Option, readonly string[]>();

/** Values that a shell offers for an option; the command may accept others. @param long with its dashes */
export function offerValues(command: Command, long: string, values: readonly string[]): void {
  const option = command.options.find((each) => each.long === long);
  if (option !== undefined) offered.set(option, values);
}

/** The command and all its subcommands. Aliases count as commands of their own. */
export function describeCommands(command: Command, path = ''): CommandWords[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command).flatMap((child) => {
    return [child.name(), ...child.aliases()].map((name) => ({ name, child }));
  });
  const own: CommandWords = {
    path,
    subcommands: below.map(({ name, child }) => ({ name, description: child.summary() || child.description() })),
    options: help.visibleOptions(command).flatMap((option) => {
      const { long, short, description, required, optional } = option;
      if (typeof long !== 'string') return [];
      const values = offered.get(option);
      return [
        {
          long,
          ...(typeof short === 'string' && { short }),
          description,
          takesValue: required || optional,
          ...(values && { values }),
        },
      ];
    }),
  };
  return [own, ...below.flatMap(({ name, child }) => describeCommands(child, `${path} ${name}`))];
}
