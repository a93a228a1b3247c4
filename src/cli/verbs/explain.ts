import type { Command } from 'commander';
import type { Explanation } from '../../promotions/explanation.js';
import { addWaitOptions, pollUntil, timeoutOf } from '../app/poll.js';
import { defineAppVerb, type AppCall } from '../app/app-verb.js';
import { askApp } from '../app/ask-app.js';
import { colorsOf } from '../output/colors.js';
import { NotPromoted, UnknownAnswer } from '../output/exit-codes.js';
import { formatResult } from '../output/result.js';
import { onLines } from '../output/status-line.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'explain',
  operands: '{<name>[:<tag>|@<digest>]|<digest>|<id>}',
  purpose: 'the tag, repository or digest, at the source or at the destination, or the id of a promotion',
  count: 1,
  summary: 'Show whether a tag, the tags of a repository or a digest are promoted, and if not, why not',
  examples: [
    ['A source tag (a destination tag works too)', 'acr-promoter explain myregistry.azurecr.io/samples/app:v1'],
    ['All tags of a repository', 'acr-promoter explain myregistry.azurecr.io/samples/app'],
    ['A digest, or its first characters', 'acr-promoter explain sha256:44136fa355b3'],
    [
      'In a script: exit code 0 promoted, 2 not promoted, 3 a registry could not be asked',
      'acr-promoter explain --exit-code --watch --timeout 600 myregistry.azurecr.io/samples/app:v1',
    ],
  ],
};

/** The state of a promotion, printed at the end of its first line. */
const STATE = /(?<=^\S+ -> \S+ \(rule [^)]*\): )\w+/gm;

/** True if the answer will not change without a trigger: no promotion works, waits or has still to start. */
function isSettled({ promotions }: Explanation): boolean {
  return promotions.every(({ state }) => state !== undefined && state !== 'working' && state !== 'waiting');
}

async function explain({ app, format, operands, values, io }: AppCall): Promise<void> {
  const timeoutSeconds = timeoutOf(values);
  const query = new URLSearchParams({ reference: operandAt(operands, 0) });
  const { readExplanation } = await import('../app/answers.js');
  const { explanationText } = await import('../../promotions/explanation-text.js');
  const colors = colorsOf(io);
  let before = '';
  const ask = async (): Promise<Explanation | undefined> => {
    const answer = await askApp(app, `promotions?${query.toString()}`, io);
    const explanation = readExplanation(answer);
    const text =
      format.kind === 'text'
        ? onLines(explanationText(explanation)).replaceAll(STATE, (state) => colors.state(state))
        : formatResult(format, answer);
    if (text !== before) io.out(text);
    before = text;
    return values.watch !== true || isSettled(explanation) ? explanation : undefined;
  };
  const { reference, promoted } = await pollUntil(ask, { io, timeoutSeconds, what: operandAt(operands, 0) });
  if (promoted === null) throw new UnknownAnswer(reference);
  if (!promoted && values.exitCode === true) throw new NotPromoted(reference);
}

/** `explain` */
export function addExplain(parent: Command, context: VerbContext): void {
  const add = (command: Command): void => {
    command
      .option('--exit-code', 'exit code 2 if it is not promoted')
      .option('--watch', 'print each change, until it is promoted or its run has ended otherwise');
    addWaitOptions(command);
  };
  defineAppVerb(parent, context, VERB, { add }, explain);
}
