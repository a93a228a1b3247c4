import { copyGraph, parseReference, planGraph, type Descriptor } from '../../src/oci/index.js';
import { fingerprint, promotionId, type Rule } from '../../src/rules/rule.js';
import { closePromotion } from '../../src/rows/generation.js';
import type { RunResult } from '../../src/rows/run-row.js';
import { attachSbomStep } from '../../src/evidence/our-sbom.js';
import { attachSignatureStep } from '../../src/evidence/our-signature.js';
import { classifyGraph } from '../../src/evidence/classify.js';
import type { PromotionRow } from '../../src/rows/promotion-row.js';
import { SOURCE, newCall, openRun, rowOf, type World } from './world.js';

/** Ends a promotion's open run, as if it had seen the tag as it stands. */
export async function endRun(world: World, which: Rule, result: RunResult, source = SOURCE): Promise<string> {
  const { promotionId, runId } = await openRun(world, which, source);
  world.engine.setState(runId, 'ended');
  const { generation } = await rowOf(world, promotionId);
  const { digest } = await world.registries.repository(source.registry, source.repository).resolve(source.tag);
  await closePromotion(world, promotionId, runId, { generation, rule: which, result: { digest, ...result } });
  return promotionId;
}

/** Makes a tag's promotion so that nothing differs: SBOM, signatures, copy, tag, row. @returns its id */
export async function putInSync(world: World, which: Rule, source = SOURCE): Promise<string> {
  const { signal } = newCall();
  const from = world.registries.repository(source.registry, source.repository);
  const root = await from.resolve(source.tag);
  const run = await openRun(world, which, source);
  const to = parseReference(run.destination);
  const destination = world.registries.repository(to.registry, to.repository);
  const copy = async (): Promise<void> => {
    const plan = await planGraph(from, root, { recursive: true, artifactsOnly: true, signal });
    await copyGraph(plan, from, destination, { signal, mountFrom: [source.repository] });
  };
  const at = { registry: to.registry, repository: to.repository };
  const where = which.attachTo === 'source' ? {} : { at };
  if (which.attachTo === 'destination') await copy();
  const { images } = await classifyGraph(from, root, signal);
  for (const image of images) {
    const { mediaType, digest, size, sbom } = image;
    if (sbom && which.sbom.formats.length > 0) await attachSbomStep(world, { ...run, ...where, image }, newCall());
    const subject: Descriptor = { mediaType, digest, size };
    if (which.sign.length > 0) await attachSignatureStep(world, { ...run, ...where, subject }, newCall());
  }
  if (which.attachTo === 'source') await copy();
  const { bytes } = await destination.fetchManifest(root.digest);
  await destination.pushManifest(bytes, root.mediaType, { tag: to.tag ?? source.tag });
  return endRun(world, which, { outcome: 'promoted' }, source);
}

/** The row of a tag whose promotion is in sync, for tests that need many and no steps. @param at when its last run ended */
export function inSyncRow(
  which: Rule,
  source: PromotionRow['source'],
  digest: string,
  at: string,
  runId = 'r',
): PromotionRow {
  return {
    id: promotionId(which.name, source),
    rule: which.name,
    source,
    destination: `${source.registry}/staging/${source.repository}:${source.tag}`,
    generation: 1,
    observedGeneration: 1,
    incrementedAt: at,
    state: 'in_sync',
    runId,
    runOpen: false,
    runBegun: true,
    failures: 0,
    last: { outcome: 'promoted', digest, runId, finishedAt: at, fingerprint: fingerprint(which) },
  };
}
