import type { Command } from 'commander';
import { UnknownAnswer } from '../output/exit-codes.js';
import { formatResult } from '../output/result.js';
import { onLines } from '../output/status-line.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { defineAppVerb } from '../app/app-verb.js';
import { askApp } from '../app/jobs-app.js';

const VERB: VerbDescription = {
  path: 'explain',
  operands: '<name>:<tag>',
  purpose: 'the tag, at the source or at the destination',
  count: 1,
  summary: 'Is this tag where the app’s rules want it, and if not, why not',
  examples: [
    ['A tag that was pushed', 'acr-promoter explain myregistry.azurecr.io/samples/app:v1'],
    [
      'In a script: true, false, or <nil> (exit code 3) if a registry could not be asked',
      "acr-promoter explain --format go-template='{{.promoted}}' myregistry.azurecr.io/samples/app:v1",
    ],
  ],
};

/** `explain` */
export function addExplain(parent: Command, context: VerbContext): void {
  defineAppVerb(parent, context, VERB, {}, async ({ app, format, operands, io }) => {
    const query = new URLSearchParams({ reference: operandAt(operands, 0) });
    const answer = await askApp(app, `promotions?${query.toString()}`, io);
    const { readExplanation } = await import('../app/seeing-answers.js');
    const explanation = readExplanation(answer);
    if (format.kind === 'text') {
      const { explanationText } = await import('../../promotions/explanation-text.js');
      io.out(onLines(explanationText(explanation)));
    } else io.out(formatResult(format, answer));
    if (explanation.promoted === null) throw new UnknownAnswer(explanation.reference);
  });
}
