import { Help, type Command } from 'commander';

/** Shortens operands for a list of commands: flags, and the ways of writing a tag, digest or type, are in the command's own help. */
function shorten(operands: string): string {
  return operands
    .replaceAll(/\{:?<tag>\|@?<digest>\}/g, '')
    .replaceAll(/\[:<tag>(?:\[,<tag>\]\[\.\.\.\])?(?:\|@<digest>)?\]/g, '')
    .replaceAll('[:<type>]', '')
    .replace(/--artifact-type=\S+ /, '')
    .replace(/\{(<file>)[^}]*\}/, '$1');
}

/** A command in the list of its parent: `push <name> <file>` below `manifest`. */
export function subcommandTerm(command: Command): string {
  const [, operands] = /^\[flags\](.*)$/.exec(command.usage()) ?? [];
  if (operands === undefined) return new Help().subcommandTerm(command);
  return `${[command.name(), ...command.aliases().slice(0, 1)].join('|')}${shorten(operands).trimEnd()}`;
}

export type Examples = readonly (readonly [what: string, how: string])[];

/** Adds examples after the options, where lines are not wrapped. */
export function addExamples(command: Command, examples: Examples): Command {
  const lines = examples.map(([what, how]) => `  ${what}:\n    ${how}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n\n')}`);
}
