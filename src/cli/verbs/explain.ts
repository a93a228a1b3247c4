import type { Command } from 'commander';
import { formatResult } from '../result.js';
import { onLines } from '../status-line.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { defineAppVerb } from './app-verb.js';
import { askApp } from './jobs-app.js';

const VERB: VerbDescription = {
  path: 'explain',
  operands: '<name>:<tag>',
  purpose: 'the tag, at the source or at the destination',
  count: 1,
  summary: 'Is this tag where the app’s rules want it, and if not, why not',
  examples: [
    ['A tag that was pushed', 'acr-promoter explain myregistry.azurecr.io/samples/app:v1'],
    [
      'In a script: true or false',
      "acr-promoter explain --format go-template='{{.promoted}}' myregistry.azurecr.io/samples/app:v1",
    ],
  ],
};

/** `explain` */
export function addExplain(parent: Command, context: VerbContext): void {
  defineAppVerb(parent, context, VERB, {}, async ({ app, format, operands, io }) => {
    const query = new URLSearchParams({ reference: operandAt(operands, 0) });
    const answer = await askApp(app, `promotions?${query.toString()}`, io);
    if (format.kind !== 'text') return io.out(formatResult(format, answer));
    const { readExplanation } = await import('./seeing-answers.js');
    const { explanationText } = await import('../../runs/explanation-text.js');
    io.out(onLines(explanationText(readExplanation(answer))));
  });
}
