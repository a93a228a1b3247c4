import { digestOf, isRecord } from '../../src/oci/index.js';
import type { PromotionRow } from '../../src/rows/promotion-row.js';
import type { World } from './world.js';

/** What tells how something came about, and not what it is: an activity that is done again finds what it made before. */
const NARRATIVE = new Set(['did', 'coalesced', 'report']);

/** Runs by what they are of, numbered in the order in which they were started. */
function runNames(starts: World['engine']['starts']): Map<string, string> {
  const counts = new Map<string, number>();
  const names = new Map<string, string>();
  for (const { orchestration, id, input } of starts) {
    const of = isRecord(input) && typeof input.promotionId === 'string' ? input.promotionId : orchestration;
    const count = (counts.get(of) ?? 0) + 1;
    counts.set(of, count);
    names.set(id, `run ${count} of ${of}`);
  }
  return names;
}

/** How often somebody wanted something is no matter, only whether that is answered. */
function withoutCounts({ generation, observedGeneration, ...row }: PromotionRow): unknown {
  return { ...row, isAnswered: generation === observedGeneration };
}

/**
 * What a world holds when all is done: registries, rows, documents, and messages by their ids. Run ids are numbered in the order
 * in which the runs were started; what only tells the way is left out.
 */
export async function endState(world: World): Promise<Record<string, unknown>> {
  const { store, documents, queues, engine } = world;
  const names = runNames(engine.starts);
  const renamed = (text: string): string => {
    let result = text;
    for (const [id, name] of names) result = result.replaceAll(id, name);
    return result;
  };
  const told = (value: unknown): unknown => withoutNarrative(JSON.parse(renamed(JSON.stringify(value))));
  const registries: Record<string, unknown> = {};
  const hosts = world.ruleList.flatMap(({ source, destination }) => [
    source.registry,
    destination.reference.split('/')[0] ?? '',
  ]);
  for (const registry of new Set(hosts)) {
    for (const name of world.registries.names(registry)) {
      const { manifests, tags, blobs } = world.registries.repository(registry, name);
      const ours: string[] = [];
      for (const digest of manifests.keys())
        if ((await store.attachedBy({ registry, repository: name, digest })) !== undefined) ours.push(digest);
      registries[`${registry}/${name}`] = {
        manifests: [...manifests.keys()].sort(),
        blobs: [...blobs.keys()].sort(),
        tags: Object.fromEntries([...tags].sort(([a], [b]) => (a < b ? -1 : 1))),
        ours: ours.sort(),
      };
    }
  }
  const runs = (await store.listRuns({ size: 100 })).items;
  const progress = (await Promise.all(runs.map(({ id }) => store.listProgress(id)))).flat();
  return {
    registries,
    promotions: byName(
      (await store.listPromotions({ size: 100 })).items.map((row) => [row.id, told(withoutCounts(row))]),
    ),
    runs: byName(
      await Promise.all(
        runs.map(async ({ id }) => {
          const { generation: _counts, ...run } = (await store.getRun(id))?.value ?? {};
          return [renamed(id), told(run)];
        }),
      ),
    ),
    unfinishedSteps: progress.filter(({ state }) => state === 'working').map(({ step }) => step),
    documents: byName(
      [...documents.kept]
        // What a long step knew after each of its calls, how often it was begun, and the report of a copy, as in its receipt.
        .filter(([name]) => !/^documents\/plans\/[^/]+\/(?:[^/]+\/|copied\.json$)/.test(name))
        // What layers contribute to SBOMs is compressed.
        .map(([name, bytes]) => [renamed(name), name.startsWith('layers/') ? digestOf(bytes) : told(parsed(bytes))]),
    ),
    // One that is sent twice has its id twice.
    messages: Object.fromEntries(
      queues.sent.map(({ queue, text }) => {
        const message = JSON.parse(text) as { id?: string };
        return [`${queue} ${renamed(message.id ?? text)}`, told(message)];
      }),
    ),
    instances: [...names.keys()].length,
  };
}

function byName(entries: [name: string, value: unknown][]): Record<string, unknown> {
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A document is JSON, or a layer that was kept, compressed. */
function parsed(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString('utf8');
  return /^[[{"]/.test(text) ? (JSON.parse(text) as unknown) : Buffer.from(bytes).toString('hex');
}

function withoutNarrative(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNarrative);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !NARRATIVE.has(key))
      .map(([key, inner]) => [key, withoutNarrative(inner)]),
  );
}
