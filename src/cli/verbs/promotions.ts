import type { Command } from 'commander';
import { InputError, parseReference, type Reference } from '../../oci/index.js';
import { formatResult } from '../output/result.js';
import { ageOf, shortDigest, type Column } from '../output/table.js';
import { onTerminal } from '../output/status-line.js';
import { operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';
import { addListOptions, NAME_FILTERS, showList, SINCE_FILTER, type Filters } from '../app/app-lists.js';
import { defineAppVerb, type AppCall } from '../app/app-verb.js';
import { askApp } from '../app/ask-app.js';
import { addWaitOptions, pollUntil, timeoutOf } from '../app/poll.js';
import type { Requested, ShownPromotion } from '../app/answers.js';
import { throwUnlessGood } from './jobs.js';
import { sourceOf, printOutcomes, outcomeOf } from '../output/promotion-lines.js';

const LIST: VerbDescription = {
  path: 'promotions',
  operands: '',
  count: 0,
  summary: 'List promotions: one for each rule and source tag, with its state',
  examples: [
    ['All promotions, newest run first', 'acr-promoter promotions --app https://myapp.azurewebsites.net'],
    [
      'Promotions of one rule that were refused in the last day',
      'acr-promoter promotions --rule staging --state refused --since 24h',
    ],
    ['By repository and tag', "acr-promoter promotions --repository 'samples/**' --tag 'v1.*'"],
  ],
};
const RUN: VerbDescription = {
  path: 'promotions run',
  operands: '{<name>:<tag>|<id>}',
  purpose: 'the source tag, the destination or the id of the promotion',
  count: 1,
  summary: 'Start a run of a promotion, whatever its last outcome was',
  examples: [
    [
      'Run the promotion of a tag, and wait for its outcome',
      'acr-promoter promotions run --wait myregistry.azurecr.io/samples/app:v1',
    ],
    ['Run a promotion by its id', 'acr-promoter promotions run 3f2c9b0d4a5e6f708192a3b4c5d6e7f8'],
  ],
};
const FILTERS: Filters = [
  ...NAME_FILTERS,
  ['state', 'state', 'only this state: in_sync, working, waiting, refused, failed, observed or cancelled'],
  [
    'destination',
    'reference',
    'only this destination, <registry>/<name>:<tag>, a prefix (<registry>/staging/) or a glob',
  ],
  SINCE_FILTER,
];

const timeOf = ({ since, incrementedAt }: ShownPromotion): string => since ?? incrementedAt;
const COLUMNS: readonly Column<ShownPromotion>[] = [
  { heading: 'STATE', text: ({ state }) => state, isState: true },
  { heading: 'CODE', text: ({ last }) => last?.code ?? '', cut: 'end' },
  { heading: 'SOURCE', text: sourceOf, cut: 'start' },
  { heading: 'DESTINATION', text: ({ destination }) => destination, isWide: true },
  { heading: 'RULE', text: ({ rule }) => rule, cut: 'end' },
  {
    heading: 'DIGEST',
    text: ({ last }) => shortDigest(last?.digest ?? ''),
    wideText: ({ last }) => last?.digest ?? '',
  },
  { heading: 'SINCE', text: (row) => ageOf(timeOf(row)), wideText: timeOf },
  { heading: 'ID', text: ({ id }) => id, isWide: true },
];

/** An id has no slash; a reference has. */
function referenceIn(text: string): Reference | undefined {
  return text.includes('/') ? parseReference(text) : undefined;
}

/**
 * The promotions that an operand names: by id, by source tag, or by destination.
 * @throws InputError `PROMOTION_UNKNOWN`, `REFERENCE_INVALID`
 */
async function findPromotions({ app, io, values }: AppCall, text: string): Promise<string[]> {
  const reference = referenceIn(text);
  if (reference === undefined) return [text];
  const { registry, repository, tag } = reference;
  if (tag === undefined) {
    throw new InputError('REFERENCE_INVALID', `${repository} has no tag; only tags can be promoted`, {
      remedy: 'Write it as <registry>/<name>:<tag>.',
    });
  }
  const { readPromotions } = await import('../app/answers.js');
  const rule = textOf(values, 'rule');
  const find = async (query: Record<string, string>): Promise<string[]> => {
    const asked = new URLSearchParams({ ...query, ...(rule !== undefined && { rule }) });
    try {
      return readPromotions(await askApp(app, `promotions?${asked.toString()}`, io)).items.map(({ id }) => id);
    } catch (error) {
      // No promotion has this name. The caller throws `PROMOTION_UNKNOWN`, with a remedy.
      if (error instanceof InputError && /^(?:REGISTRY|REPOSITORY|DESTINATION)_UNKNOWN$/.test(error.code)) return [];
      throw error;
    }
  };
  const byDestination = await find({ destination: `${registry}/${repository}:${tag}` });
  const ids = byDestination.length > 0 ? byDestination : await find({ registry, repository, tag });
  if (ids.length > 0) return ids;
  throw await unknownPromotion({ app, io }, `${registry}/${repository}:${tag}`);
}

/** The error for a tag without a promotion. Its remedy depends on whether a rule matches the tag and whether it exists. */
async function unknownPromotion({ app, io }: Pick<AppCall, 'app' | 'io'>, tag: string): Promise<InputError> {
  const { readExplanation } = await import('../app/answers.js');
  const query = new URLSearchParams({ reference: tag });
  const { promotions, nearest } = readExplanation(await askApp(app, `promotions?${query.toString()}`, io));
  const because = (why: string, remedy: string): InputError =>
    new InputError('PROMOTION_UNKNOWN', `there is no promotion of ${tag}${why}`, { remedy });
  if (nearest !== undefined) {
    const remedy = `Change a rule to include it, or copy it: acr-promoter copy -r ${tag} DESTINATION`;
    return because(`: no rule matches it: ${nearest}`, remedy);
  }
  if (promotions.some(({ checks }) => checks?.source.state === 'missing')) {
    return because(': the tag does not exist', 'Push it, or correct the reference.');
  }
  return because(' yet', `Start its first run: acr-promoter promote --submit ${tag}`);
}

/**
 * Waits until a promotion has answered the requested generation.
 * @returns the promotion with its last outcome
 */
async function waitFor(call: AppCall, { promotionId, generation }: Requested): Promise<ShownPromotion> {
  const { app, io, values } = call;
  const { readPromotion } = await import('../app/answers.js');
  const ask = async (): Promise<ShownPromotion | undefined> => {
    const row = readPromotion(await askApp(app, `promotions/${encodeURIComponent(promotionId)}`, io));
    const isAnswered = !row.runOpen && row.observedGeneration >= (generation ?? row.generation);
    return isAnswered && row.last !== undefined ? row : undefined;
  };
  return pollUntil(ask, { io, timeoutSeconds: timeoutOf(values), what: `promotion ${promotionId}` });
}

async function runPromotions(call: AppCall): Promise<void> {
  const { app, format, operands, values, io } = call;
  timeoutOf(values);
  const { readRequested } = await import('../app/answers.js');
  const requested: Requested[] = [];
  for (const id of await findPromotions(call, operandAt(operands, 0))) {
    requested.push(readRequested(await askApp(app, `promotions/${encodeURIComponent(id)}/run`, io, '{}')));
  }
  if (values.wait !== true) {
    if (format.kind !== 'text') return io.out(formatResult(format, { promotions: requested }));
    for (const { promotionId, runId } of requested) {
      const run = runId === undefined ? 'its run starts at the next schedule tick' : `run ${runId}`;
      io.out(`${onTerminal(`Promotion ${promotionId}, ${run}`)}\n`);
    }
    return;
  }
  const ended: ShownPromotion[] = [];
  for (const each of requested) ended.push(await waitFor(call, each));
  printOutcomes(
    io,
    format,
    ended.map((row) => outcomeOf(row)),
  );
  for (const { last } of ended) throwUnlessGood(last, 'run');
}

/** `promotions`, and `promotions run`. */
export function addPromotions(parent: Command, context: VerbContext): void {
  const listed = { add: (command: Command): void => addListOptions(command, FILTERS), isTable: true };
  const list = defineAppVerb(parent, context, LIST, listed, async (call) => {
    const { readPromotions } = await import('../app/answers.js');
    const idOf = ({ id }: ShownPromotion): string => id;
    const view = { path: 'promotions', filters: FILTERS, name: 'promotions', columns: COLUMNS, idOf };
    await showList(call, { ...view, read: readPromotions });
  }).enablePositionalOptions();
  const waiting = (command: Command): void => {
    command
      .option('--rule <name>', 'only the promotion of this rule, if several match')
      .option('--wait', 'wait for the outcome, and print it; exit code 1 if it failed');
    addWaitOptions(command);
  };
  defineAppVerb(list, context, RUN, { add: waiting }, runPromotions);
}
