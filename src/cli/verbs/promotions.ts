import type { Command } from 'commander';
import { formatColumns } from '../columns.js';
import { addFormatOptions, formatResult, resultFormat } from '../result.js';
import { onTerminal } from '../status-line.js';
import { defineVerb, operandAt, type VerbContext, type VerbDescription } from '../verb.js';
import { addListOptions, askList, tellMore, type Filters } from './app-lists.js';
import { addAppOptions, appOf, askApp } from './jobs-app.js';
import type { ShownPromotion } from './seeing-answers.js';

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
  ['rule', 'name', 'those of this rule'],
  ['repository', 'name', 'those of this source repository; its registry may stand before it'],
  ['tag', 'tag', 'those of this source tag'],
  ['state', 'state', 'working, waiting, in_sync, observed, refused, failed or cancelled'],
  ['destination', 'reference', 'those that lead to <registry>/<name>:<tag>'],
];

function rowOf({ state, rule, source, destination, last, since, wantedAt, id }: ShownPromotion): string[] {
  const { registry, repository, tag = '' } = source;
  const stands = last?.code === undefined ? state : `${state} ${last.code}`;
  return [stands, `${registry}/${repository}:${tag}`, destination, rule, last?.digest ?? '', since ?? wantedAt, id];
}

/** `promotions`, and `promotions run`. */
export function addPromotions(parent: Command, { io }: VerbContext): void {
  const addOptions = (command: Command): void => {
    addListOptions(command, FILTERS);
    addAppOptions(command);
    addFormatOptions(command);
  };
  const list = defineVerb(parent, { io }, LIST, addOptions, async (_session, _operands, values) => {
    const format = resultFormat(values);
    const { readPromotions } = await import('./seeing-answers.js');
    const asked = { app: appOf(values, io), path: 'promotions', filters: FILTERS, values, io };
    const { items, more } = await askList(asked, readPromotions);
    const headings = ['STATE', 'SOURCE', 'DESTINATION', 'RULE', 'DIGEST', 'SINCE', 'ID'];
    if (format.kind !== 'text') io.out(formatResult(format, { promotions: items }));
    else io.out(formatColumns(headings, items.map(rowOf)));
    tellMore(more, io);
  }).enablePositionalOptions();
  const addRunOptions = (command: Command): void => {
    addAppOptions(command);
    addFormatOptions(command);
  };
  defineVerb(list, { io }, RUN, addRunOptions, async (_session, operands, values) => {
    const format = resultFormat(values);
    const path = `promotions/${encodeURIComponent(operandAt(operands, 0))}/run`;
    const answer = await askApp(appOf(values, io), path, io, '{}');
    if (format.kind !== 'text') return io.out(formatResult(format, answer));
    const { runId } = (await import('./seeing-answers.js')).readRaised(answer);
    io.out(runId === undefined ? 'Wanted: its run comes later\n' : onTerminal(`Run ${runId}`) + '\n');
  });
}
