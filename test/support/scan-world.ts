import { closePromotion } from '../../src/rows/generation.js';
import type { PromotionRow } from '../../src/rows/promotion-row.js';
import type { RunResult } from '../../src/rows/run-row.js';
import type { ScanRow } from '../../src/rows/scan-row.js';
import type { Rule } from '../../src/rules/rule.js';
import { rerunEdited, scanRepositories } from '../../src/schedule/scan-repositories.js';
import type { Scan } from '../../src/schedule/scan.js';
import { Shares } from '../../src/schedule/request-shares.js';
import { pushImage } from './images.js';
import { rule } from './rules.fixture.js';
import { REGISTRY, rowOf, type World } from './world.js';

/** The result of the scans of one tick. */
export interface Scanned {
  started: number;
  checked: number;
  problems: string[];
  /** True if the next tick must continue. */
  isLeft: boolean;
  /** Requests by registry. */
  asked: (registry: string) => number;
}

/** A rule that only copies. */
export function copying(changes: Record<string, unknown> = {}): Rule {
  return rule({ existing: 'promote', sign: [], sbom: { formats: [] }, ...changes });
}

/** The state of a scan before it starts. */
function newScan(world: World, changes: Partial<Scan> = {}): Scan {
  return {
    ports: world,
    share: { left: () => 1_000 },
    signal: new AbortController().signal,
    until: world.now().getTime() + 40_000,
    dueMs: world.now().getTime(),
    isBegin: true,
    started: 0,
    maxStarted: world.maxRunsPerTick,
    checked: 0,
    problems: [],
    ...changes,
  };
}

/** Runs the scans of one tick. @param tick.isBegin false: the tick continues the scans of the previous one */
export async function scanTick(
  world: World,
  { isBegin = true, dueMs = world.now().getTime(), started = 0, forMs = 40_000 } = {},
): Promise<Scanned> {
  const shares = await Shares.open(world);
  const share = shares.of('scan');
  const scan = newScan(world, {
    ports: { ...world, ...share.counted() },
    share,
    until: world.now().getTime() + forMs,
    dueMs,
    isBegin,
    started,
  });
  const { isLeft, outdated } = await scanRepositories(scan);
  const isAgainLeft = await rerunEdited(scan, outdated);
  await shares.close();
  return {
    started: scan.started,
    checked: scan.checked,
    problems: scan.problems,
    isLeft: isLeft || isAgainLeft,
    asked: (registry) => share.asked(registry),
  };
}

/** Ticks, a minute apart, until all scans that are due are done. */
export async function scanAll(world: World, most = 60): Promise<Scanned> {
  const dueMs = world.now().getTime();
  let scanned = await scanTick(world);
  for (let tick = 1; scanned.isLeft && tick < most; tick += 1) {
    world.nowMs += 60_000;
    scanned = await scanTick(world, { isBegin: false, dueMs, started: scanned.started });
  }
  return scanned;
}

/** The next scans are full scans, as if the last ones were hours ago. */
export async function askForFullScans(world: World): Promise<void> {
  for (const { value, version } of (await world.store.listScanRows()).items) {
    const { fingerprint: _before, ...state } = value.state;
    await world.store.replaceScanRow({ ...value, state }, version);
  }
}

export async function scanRows(world: World): Promise<ScanRow[]> {
  return (await world.store.listScanRows()).items.map(({ value }) => value);
}

/** Pushes an image of its own. */
export function pushTo(world: World, repository: string, tag: string, content = `${repository}:${tag}`) {
  return pushImage(world.registries.repository(REGISTRY, repository), { tag, content });
}

/** `repository:tag` of each run that was started, sorted. */
export async function startedTags(world: World): Promise<string[]> {
  return (await startedRuns(world)).sort();
}

/** The same in the order in which they were started. */
export async function startedRuns(world: World): Promise<string[]> {
  const rows = await Promise.all(
    world.engine.starts.map(({ input }) => rowOf(world, (input as { promotionId: string }).promotionId)),
  );
  return rows.map(({ source }) => `${source.repository}:${source.tag}`);
}

/** Ends each open run with a result, as if it had seen the tag as it stands. */
export async function endRuns(
  world: World,
  result: Partial<RunResult> & { outcome: RunResult['outcome'] },
): Promise<void> {
  for (;;) {
    const open: PromotionRow[] = [];
    let from: string | undefined;
    do {
      const page = await world.store.listDuePromotions({ size: 100, ...(from !== undefined && { from }) });
      open.push(...page.items.filter(({ runOpen }) => runOpen));
      from = page.next;
    } while (from !== undefined);
    if (open.length === 0) return;
    for (const { id, source, generation, rule: name, runId = '' } of open) {
      const digest = world.registries.repository(source.registry, source.repository).tags.get(source.tag);
      world.engine.setState(runId, 'ended');
      await closePromotion(world, id, runId, {
        generation,
        result: { ...(digest !== undefined && { digest }), ...result },
        rule: world.ruleList.find((each) => each.name === name) ?? copying(),
      });
    }
  }
}

/** Puts what the source has under a tag at the destination, as a run does. */
export function copyAs(world: World, repository: string, tag: string, content = `${repository}:${tag}`) {
  return pushTo(world, `staging/${repository}`, tag, content);
}
