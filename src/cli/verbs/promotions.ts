import type { Command } from 'commander';
import { formatColumns } from '../output/columns.js';
import { formatResult } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import { operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { addListOptions, askList, tellMore, type Filters } from '../app/app-lists.js';
import { defineAppVerb } from '../app/app-verb.js';
import { askApp } from '../app/jobs-app.js';
import type { ShownPromotion } from '../app/seeing-answers.js';

const LIST: VerbDescription = {
  path: 'promotions',
  operands: '',
  purpose: 'options only',
  count: 0,
  summary: 'List the promotions of the app: what should stand where, and how it stands',
  examples: [
    ['All of them, newest run first', 'acr-promoter promotions --app https://myapp.azurewebsites.net'],
    ['What was refused, of one rule', 'acr-promoter promotions --rule staging --state refused'],
    ['One repository', 'acr-promoter promotions --repository myregistry.azurecr.io/samples/app'],
  ],
};
const RUN: VerbDescription = {
  path: 'promotions run',
  operands: '<id>',
  purpose: 'the id of the promotion',
  count: 1,
  summary: 'Have the app look at a promotion again',
  examples: [['Again', 'acr-promoter promotions run 3f2c9b0d4a5e6f708192a3b4c5d6e7f8']],
};
const FILTERS: Filters = [
  ['rule', 'name', 'only this rule'],
  ['repository', 'name', 'those of this source repository; its registry may stand before it'],
  ['tag', 'tag', 'those of this source tag'],
  ['state', 'state', 'working, waiting, in_sync, observed, refused, failed or cancelled'],
  ['destination', 'reference', 'those that lead to <registry>/<name>:<tag>'],
];

function rowOf({ state, rule, source, destination, last, since, incrementedAt, id }: ShownPromotion): string[] {
  const { registry, repository, tag = '' } = source;
  const stands = last?.code === undefined ? state : `${state} ${last.code}`;
  return [
    stands,
    `${registry}/${repository}:${tag}`,
    destination,
    rule,
    last?.digest ?? '',
    since ?? incrementedAt,
    id,
  ];
}

/** `promotions`, and `promotions run`. */
export function addPromotions(parent: Command, context: VerbContext): void {
  const listed = { add: (command: Command): void => addListOptions(command, FILTERS), isTable: true };
  const list = defineAppVerb(parent, context, LIST, listed, async ({ app, format, values, io }) => {
    const { readPromotions } = await import('../app/seeing-answers.js');
    const { items, more } = await askList({ app, path: 'promotions', filters: FILTERS, values, io }, readPromotions);
    const headings = ['STATE', 'SOURCE', 'DESTINATION', 'RULE', 'DIGEST', 'SINCE', 'ID'];
    if (format.kind !== 'text') io.out(formatResult(format, { promotions: items }));
    else io.out(formatColumns(headings, items.map(rowOf)));
    tellMore(more, io);
  }).enablePositionalOptions();
  defineAppVerb(list, context, RUN, {}, async ({ app, format, operands, io }) => {
    const answer = await askApp(app, `promotions/${encodeURIComponent(operandAt(operands, 0))}/run`, io, '{}');
    if (format.kind !== 'text') return io.out(formatResult(format, answer));
    const { runId } = (await import('../app/seeing-answers.js')).readRaised(answer);
    io.out(runId === undefined ? 'Wanted: its run comes later\n' : onTerminal(`Run ${runId}`) + '\n');
  });
}
