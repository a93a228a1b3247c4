import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { complete, offerOperands } from '../completion/complete.js';
import { completionScript, SHELLS } from '../completion/scripts.js';
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

/** Prints candidates for the last word of a command line, each with its description after a tab. */
function addComplete(program: Command, { io }: VerbContext): void {
  program
    .command('__complete [words...]', { hidden: true })
    .option('--no-descriptions')
    .action((words: string[], { descriptions }: { descriptions: boolean }) => {
      // The script writes a dot before the typed word.
      const typed = words.at(-1)?.slice(1) ?? '';
      for (const { word, description } of complete(program, [...words.slice(0, -1), typed])) {
        io.out(`${word}${descriptions && description !== '' ? `\t${description}` : ''}\n`);
      }
    });
}

export function addCompletion(program: Command, context: VerbContext): void {
  const command = defineVerb(
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
      // bash would insert a description.
      const descriptions = shell !== 'bash' && values.descriptions !== false;
      context.io.out(completionScript(shell, { descriptions }));
      return Promise.resolve();
    },
  );
  offerOperands(command, SHELLS);
  addComplete(program, context);
}
