import { Help, type Command } from 'commander';

/** Operands without flags among them and the ways of writing a tag, digest or type, which the command's own help has. */
function shorten(operands: string): string {
  return operands
    .replaceAll(/\{:?<tag>\|@?<digest>\}/g, '')
    .replaceAll(/\[:<tag>(?:\[,<tag>\]\[\.\.\.\])?(?:\|@<digest>)?\]/g, '')
    .replaceAll('[:<type>]', '')
    .replace(/--artifact-type=\S+ /, '')
    .replace(/\{(<file>)[^}]*\}/, '$1');
}

/** How a command stands in the list of the one above it: `manifest`’s `push <name> <file>`. */
export function subcommandTerm(command: Command): string {
  const [, operands] = /^\[flags\](.*)$/.exec(command.usage()) ?? [];
  if (operands === undefined) return new Help().subcommandTerm(command);
  return `${[command.name(), ...command.aliases().slice(0, 1)].join('|')}${shorten(operands).trimEnd()}`;
}

export type Examples = readonly (readonly [what: string, how: string])[];

/** After the options, where they are not wrapped. */
export function addExamples(command: Command, examples: Examples): Command {
  const lines = examples.map(([what, how]) => `  ${what}:\n    ${how}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n\n')}`);
}
