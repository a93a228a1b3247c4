import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { describeCommands, type CommandWords } from '../completion/command-words.js';
import { completionScript, SHELLS } from '../completion/completion-script.js';
import { defineVerb, operandAt, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'completion',
  operands: '{bash|zsh|fish|powershell}',
  purpose: 'the shell to make a script for',
  count: 1,
  summary: 'Print the completion script of a shell',
  examples: [
    ['In ~/.bashrc', 'source <(acr-promoter completion bash)'],
    ['In ~/.zshrc', 'source <(acr-promoter completion zsh)'],
    ['In fish', 'acr-promoter completion fish | source'],
    ['In $PROFILE', 'acr-promoter completion powershell | Out-String | Invoke-Expression'],
  ],
};

function withoutDescriptions({ path, subcommands, options }: CommandWords): CommandWords {
  return {
    path,
    subcommands: subcommands.map((each) => ({ ...each, description: '' })),
    options: options.map((each) => ({ ...each, description: '' })),
  };
}

/** Adds words that are not commands: the shells, and the topics of `help`. */
function withOperands(commands: readonly CommandWords[]): CommandWords[] {
  const shells = SHELLS.map((name) => ({ name, description: '' }));
  const topics = commands
    .filter(({ path, subcommands }) => path !== ' help' && subcommands.length > 0)
    .map(({ path, subcommands }) => ({
      path: ` help${path}`,
      subcommands: subcommands.filter(({ name }) => name !== 'help'),
      options: [],
    }));
  const own = commands.filter(({ path }) => path !== ' help');
  return [...own.map((each) => (each.path === ' completion' ? { ...each, subcommands: shells } : each)), ...topics];
}

export function addCompletion(program: Command, context: VerbContext): void {
  defineVerb(
    program,
    context,
    VERB,
    (command) =>
      void command.option(
        '--no-descriptions',
        'complete words without their descriptions (bash never shows descriptions)',
      ),
    (_session, operands, values) => {
      const asked = operandAt(operands, 0);
      const shell = SHELLS.find((candidate) => candidate === asked);
      if (shell === undefined) {
        throw new InputError('OPTION_INVALID', `there is no completion for ${JSON.stringify(asked)}`, {
          remedy: `Shells: ${SHELLS.join(', ')}`,
        });
      }
      const commands = withOperands(describeCommands(program));
      context.io.out(
        completionScript(shell, values.descriptions === false ? commands.map(withoutDescriptions) : commands),
      );
      return Promise.resolve();
    },
  );
}
