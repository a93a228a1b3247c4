import {
  RegistryError,
  describeError,
  parseReference,
  rememberReads,
  type Descriptor,
  type ReadableRepository,
} from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { classifyGraph } from '../evidence/classify.js';
import type { DeepPassBudget } from './deep-pass-budget.js';
import { attachmentDifferences, graphDifferences, isAllListed } from '../evidence/differences.js';
import { hashOfList, listSignatures } from '../evidence/signature-list.js';
import { addProblem, type Scan } from './scan.js';
import { tookTooLong, within } from './within.js';

/** How often a run looks at what the deep pass cannot decide, in milliseconds. */
export const LOOK_AGAIN_MS = 24 * 3_600_000;
/** How long the deep pass compares one promotion, in milliseconds. */
const DEEP_PASS_ROW_MS = 3 * 60_000;

/**
 * Refusals that the deep pass leaves alone. The tag's owner and the rule are looked at in each tick; content that was refused stays
 * what it is.
 */
const SEEN_TO = new Set([
  'DESTINATION_TAKEN',
  'RULE_GONE',
  'IS_REFERRER',
  'REFERRER_IN_INDEX',
  'DESCRIPTOR_MISMATCH',
  'IMAGE_CONFIG_MISMATCH',
  'MANIFEST_AMBIGUOUS',
]);

/** What the deep pass has to look at. One in sync with a code is in sync with nothing: its tag names a referrer. */
export function isOfInterest({ state, runOpen, last }: PromotionRow): boolean {
  if (runOpen || last === undefined) return false;
  return state === 'refused' ? !SEEN_TO.has(last.code ?? '') : state === 'in_sync' && last.code === undefined;
}

/**
 * Whether a run would find something to do, as far as looking can tell: something differs, evidence has come, a lock is gone. What
 * looking can't decide, since it is too much or stands in no registry, is a run's to find out, once a day.
 */
export async function isWorthARun(scan: Scan, budget: DeepPassBudget, rule: Rule, row: PromotionRow): Promise<boolean> {
  const { signal, progress } = scan.call;
  const registries = [row.source.registry, parseReference(row.destination).registry];
  const look = (bound: AbortSignal): Promise<boolean | undefined> => lookAt(scan, budget, rule, row, bound);
  try {
    const looked = await budget.spend(row, registries, (spent) =>
      within(AbortSignal.any([signal, spent]), DEEP_PASS_ROW_MS, row.destination, look),
    );
    if (looked === 'too much')
      progress.text(`${row.destination}: too much for this pass: a run looks at it once a day`);
    return (looked === 'too much' ? undefined : looked.done) ?? isLongAgo(scan, row);
  } catch (error) {
    signal.throwIfAborted();
    const isTooLong = tookTooLong(error);
    if (isTooLong) addProblem(scan, rule, error);
    // A registry that is down: the next look comes.
    const { code, message } = describeError(error);
    progress.text(`${row.destination}: ${code}: ${message}`);
    return isTooLong && isLongAgo(scan, row);
  }
}

/** Its last run ended long ago; also one that ended in the future, by a clock that was wrong. */
function isLongAgo({ ports }: Scan, { last }: PromotionRow): boolean {
  const agoMs = ports.now().getTime() - Date.parse(last?.finishedAt ?? '');
  return Math.abs(agoMs) >= LOOK_AGAIN_MS;
}

/** Undefined: that can't be told by looking. */
async function lookAt(
  scan: Scan,
  budget: DeepPassBudget,
  rule: Rule,
  row: PromotionRow,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const { source, state, last } = row;
  if (state === 'refused') {
    if (last?.code === 'DESTINATION_LOCKED') return isUnlocked(scan, budget, row, signal);
    if (last?.code !== 'EVIDENCE_MISSING') return undefined;
  }
  const from = rememberReads(budget.counted.repository(source.registry, source.repository));
  const root = await rootOf(from, source.tag, signal);
  // Nobody told of its deletion: the run says what is the matter, and the row comes to rest.
  if (root === undefined) return true;
  if (state === 'refused') return hashOfList(await listSignatures(from, root, signal)) !== last?.evidence;
  return differs(scan, budget, { rule, row, from, root }, signal);
}

async function rootOf(from: ReadableRepository, tag: string, signal: AbortSignal): Promise<Descriptor | undefined> {
  try {
    return await from.resolve(tag, { signal });
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return undefined;
    throw error;
  }
}

/** Undefined where the registry doesn't say, or has said so before and was mistaken: a manifest may be locked too. */
async function isUnlocked(
  { ports }: Scan,
  { counted }: DeepPassBudget,
  { destination, runTrigger, since, last }: PromotionRow,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const { registry, repository, tag = '' } = parseReference(destination);
  // Its own lock, and its repository's.
  counted.count(registry, 2);
  const isWritable = await ports.listing.repository(registry, repository).isWritable(tag, { signal });
  const wasMistaken = runTrigger?.kind === 'schedule' && since !== last?.finishedAt;
  return isWritable === true && wasMistaken ? undefined : isWritable;
}

interface InSync {
  rule: Rule;
  row: PromotionRow;
  from: ReadableRepository;
  root: Descriptor;
}

async function differs(
  scan: Scan,
  { counted }: DeepPassBudget,
  { rule, row, from, root }: InSync,
  signal: AbortSignal,
): Promise<boolean> {
  const to = parseReference(row.destination);
  const destination = rememberReads(counted.repository(to.registry, to.repository));
  if ((await graphDifferences(rule, from, destination, root, signal)).length > 0) return true;
  const { images } = await classifyGraph(from, root, signal);
  const at = rule.attachTo === 'source' ? from : destination;
  if (await isAllListed(scan.ports, rule, at, images, signal)) return false;
  return (await attachmentDifferences(scan.ports, rule, at, images, signal)).length > 0;
}
