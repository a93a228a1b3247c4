import { InputError, compareGraphs, describeError, isNothingMissing, parseReference } from '../oci/index.js';
import type { Rule } from '../promotion/rule.js';
import { raiseWanted } from '../runs/promotion-runs.js';
import type { Page } from '../runs/ports.js';
import type { PromotionRow } from '../runs/rows.js';
import { signaturesHash } from './our-signature.js';
import { STEP_LIMITS } from './limits.js';
import type { Ports, StepCall } from './ports.js';

type DeepPorts = Pick<Ports, 'registries' | 'store' | 'engine' | 'paused' | 'now'>;

/** Where the pass goes on at the next tick: a page of the promotions' list. */
const NOTE = 'deep-pass';

/**
 * The schedule's second pass: compares the graphs, referrers and all, of a page of promotions that are in sync, looks whether
 * those that were refused for missing evidence have got any, and moves on with a saved cursor. A referrer whose event was lost,
 * and one that the destination lost, are found within some ticks.
 * @returns how many promotions were raised
 */
export async function deepPass(ports: DeepPorts, rules: readonly Rule[], call: StepCall): Promise<number> {
  const note = await ports.store.getNote(NOTE);
  const from = note?.value === undefined || note.value === '' ? undefined : note.value;
  const page = await pageFrom(ports, from);
  let raised = 0;
  for (const row of page.items) {
    const rule = rules.find(({ name }) => name === row.rule);
    if (rule === undefined || ports.paused || !(await isWorthALook(ports, rule, row, call))) continue;
    await raiseWanted(ports, rule, row.source, { kind: 'schedule' });
    raised += 1;
  }
  // Where another tick was faster, its cursor is as good as ours.
  await ports.store.putNote(NOTE, page.next ?? '', note?.version);
  return raised;
}

async function pageFrom(ports: DeepPorts, from: string | undefined): Promise<Page<PromotionRow>> {
  const size = STEP_LIMITS.deepPassPage;
  try {
    return await ports.store.listPromotions({ size, ...(from !== undefined && { from }) });
  } catch (error) {
    // A cursor of another version: from the start again.
    if (!(error instanceof InputError)) throw error;
    return ports.store.listPromotions({ size });
  }
}

/** In sync and yet different, or refused for evidence that has changed since. */
async function isWorthALook(ports: DeepPorts, rule: Rule, row: PromotionRow, call: StepCall): Promise<boolean> {
  const { last } = row;
  try {
    if (row.state === 'refused' && last?.code === 'EVIDENCE_MISSING') return await hasNewEvidence(ports, row, call);
    // One with a code is in sync with nothing: its tag is gone, or names a referrer.
    return row.state === 'in_sync' && last?.code === undefined && (await differs(ports, rule, row, call));
  } catch (error) {
    call.signal.throwIfAborted();
    // A tag that is gone, a registry that is down: the next look comes.
    const { code, message } = describeError(error);
    call.progress.text(`${row.destination}: ${code}: ${message}`);
    return false;
  }
}

async function hasNewEvidence(ports: DeepPorts, row: PromotionRow, { signal }: StepCall): Promise<boolean> {
  const source = ports.registries.repository(row.source.registry, row.source.repository);
  const root = await source.resolve(row.source.tag, { signal });
  return (await signaturesHash(source, root, signal)) !== row.last?.evidence;
}

async function differs(ports: DeepPorts, rule: Rule, row: PromotionRow, { signal }: StepCall): Promise<boolean> {
  const source = ports.registries.repository(row.source.registry, row.source.repository);
  const { registry, repository } = parseReference(row.destination);
  const root = await source.resolve(row.source.tag, { signal });
  const missing = await compareGraphs(source, ports.registries.repository(registry, repository), root, {
    recursive: true,
    excludeArtifactTypes: rule.referrers.excludeArtifactTypes,
    signal,
  });
  return !isNothingMissing(missing);
}
