import { RegistryError, parseReference, type TagDetails } from '../oci/index.js';
import type { TagName } from '../rules/match.js';
import { promotionId, scanFingerprint, type Rule } from '../rules/rule.js';
import { isDestinationFree } from '../rows/claims.js';
import { listedTag } from '../rows/lists.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { resolveTag } from '../transfer/tag.js';
import { DestinationTags } from './destination-tags.js';
import { ExistingTags } from './existing-tags.js';
import { promotionRows, RowsInStep } from './promotion-rows.js';
import {
  addProblem,
  decide,
  everyTagOf,
  isRowError,
  isRunLimitReached,
  isTaken,
  mustPause,
  type RepositoryScan,
  SCANNED_TAGS,
  triggerRun,
} from './scan.js';
import { isOutdated } from './rerun-after-edit.js';

/** Requests sent, and runs started, in parallel. */
const AT_ONCE = 16;
/** After this many tags that could not be checked, the scan fails: a registry may be down. */
const MOST_TROUBLES = 3;

/** State of one full scan. */
interface Reading extends RepositoryScan {
  rows: RowsInStep;
  destinations: DestinationTags;
  existing: ExistingTags | undefined;
  /** Tags whose rows come with a later page, because rows are sorted differently (`v1` after `v10`). */
  outOfOrder: Set<string>;
  troubles: number;
}

/**
 * Compares all tags of a repository with their rows and with the destination, page by page, continuing where the last
 * tick stopped. Finds tags without a row, moved and deleted tags, destination tags that are gone or have another
 * digest, and freed destination claims.
 * @returns true if the scan is finished
 */
export async function fullScan(place: RepositoryScan): Promise<boolean> {
  const { scan, rule, repository, signal } = place;
  const { ports } = scan;
  const begun = place.state.full;
  const isSame = begun?.fingerprint === scanFingerprint(rule);
  const full = isSame ? begun : { startedAt: ports.now().toISOString(), fingerprint: scanFingerprint(rule) };
  place.state = { ...place.state, full };
  const { after } = full;
  const { existing } = place.state;
  const reading: Reading = Object.assign(place, {
    rows: new RowsInStep(promotionRows(ports.store, rule, repository, { fromTag: after })),
    destinations: new DestinationTags(ports, signal),
    existing: existing && new ExistingTags(ports, rule, repository, existing),
    outOfOrder: new Set<string>(),
    troubles: 0,
  });
  let page: TagDetails[] = [];
  for await (const listed of everyTagOf(ports, rule, repository, { signal, last: after })) {
    page.push(listed);
    if (page.length < SCANNED_TAGS) continue;
    if (!(await scanPage(reading, page, listed.name)) || mustPause(place)) return false;
    page = [];
  }
  // The last page covers all remaining rows.
  if (!(await scanPage(reading, page, undefined))) return false;
  end(place);
  return true;
}

function end(place: RepositoryScan): void {
  const { full, ranAgain } = place.state;
  if (full === undefined) return;
  const { startedAt, fingerprint: by, hasOutdated } = full;
  const again = { full: undefined, ranAgain: hasOutdated === true ? undefined : ranAgain };
  place.state = { ...place.state, ...again, lastFullScanAt: startedAt, fingerprint: by };
}

/** A tag, or the tag of a row that is no longer listed, that may need a run. */
interface Candidate {
  name: TagName;
  /** The tag as listed; absent if it is not listed any more. */
  listed?: TagDetails;
  digest?: string;
  /** Set if the destination must be read to decide. */
  destination?: TagName;
}
type Compared = Candidate & { destination: TagName; digest: string };

function isCompared(candidate: Candidate): candidate is Compared {
  return candidate.destination !== undefined && candidate.digest !== undefined;
}

/**
 * Compares one page of tags with the rows up to its last tag, and keeps the position in the state.
 * @param last undefined on the last page
 * @returns false if no more runs may be started
 */
async function scanPage(reading: Reading, page: readonly TagDetails[], last: string | undefined): Promise<boolean> {
  const { scan, rule, repository, destinations } = reading;
  const tags = page.filter(({ name }) => isTaken(rule, repository, name));
  scan.checked += tags.length;
  const rows = await reading.rows.upTo(last);
  const candidates: Candidate[] = [];
  const rowless = tags.filter(({ name }) => !rows.has(name));
  const existing = await reading.existing?.digestsOf(rowless.map(({ name }) => name));
  for (const listed of tags) {
    const isOutOfOrder = last !== undefined && listedTag(listed.name) > listedTag(last);
    if (isOutOfOrder) reading.outOfOrder.add(listed.name);
    const row = isOutOfOrder ? await rowNow(reading, listed.name) : rows.get(listed.name);
    // The tag is unchanged since it was recorded as existing, and nothing asked for it since.
    if (row === undefined && existing?.get(listed.name) === listed.digest) continue;
    const candidate = await candidateOf(reading, listed, row);
    if (candidate !== undefined) candidates.push(candidate);
    rows.delete(listed.name);
  }
  for (const row of rows.values())
    if (!reading.outOfOrder.delete(row.source.tag) && isInSync(reading, row)) candidates.push({ name: row.source });
  candidates.sort((a, b) => (a.name.tag < b.name.tag ? -1 : 1));
  const confirmed = await destinations.listed(candidates.filter(isCompared));
  const open = candidates.filter((candidate) => !isCompared(candidate) || !confirmed.has(candidate));
  for (let from = 0; from < open.length;) {
    if (isRunLimitReached(scan)) return false;
    // Never start more runs than are left.
    const some = open.slice(from, from + Math.min(AT_ONCE, scan.maxStarted - scan.started));
    const isDone = await Promise.all(some.map((candidate) => startIfNeeded(reading, candidate)));
    // Other repositories are scanned in parallel and may have used up the last run.
    const stopped = isDone.indexOf(false);
    from += some.length;
    // Record the position even then, so that a tag that changes on every scan does not use up the runs of every tick.
    savePosition(reading, (stopped === -1 ? some : some.slice(0, stopped)).at(-1)?.name.tag);
    if (stopped !== -1 || isDestinationShareSpent(scan, rule, some)) return false;
  }
  savePosition(reading, last);
  return true;
}

/**
 * True if the request share of a destination registry is used up. Destinations without ACR lists cost a request for
 * each tag.
 */
function isDestinationShareSpent(
  { share }: RepositoryScan['scan'],
  { source }: Rule,
  some: readonly Candidate[],
): boolean {
  return some.some(
    ({ destination: to }) => to !== undefined && to.registry !== source.registry && share.left(to.registry) <= 0,
  );
}

/** Keeps the position in the state. */
function savePosition(reading: Reading, tag: string | undefined): void {
  const { full } = reading.state;
  if (full !== undefined && tag !== undefined) reading.state = { ...reading.state, full: { ...full, after: tag } };
}

/** Returns undefined if the row shows that nothing is to be done. */
async function candidateOf(
  reading: Reading,
  listed: TagDetails,
  row: PromotionRow | undefined,
): Promise<Candidate | undefined> {
  const { rule, repository } = reading;
  const name = { registry: rule.source.registry, repository, tag: listed.name };
  switch (decide(reading, listed, row)) {
    case 'increment':
      return { name, listed };
    case 'compare': {
      const { registry, repository: to, tag = '' } = parseReference(row?.destination ?? '');
      return { name, listed, digest: listed.digest, destination: { registry, repository: to, tag } };
    }
    case 'run again': {
      const { full } = reading.state;
      // Reruns after a rule edit come after all scans, see rerunAfterEdit.
      if (full !== undefined && !isOutdated(reading))
        reading.state = { ...reading.state, full: { ...full, hasOutdated: true } };
      return undefined;
    }
    case 'leave':
      return row !== undefined && (await isClaimFreed(reading, row)) ? { name, listed } : undefined;
  }
}

/**
 * True if the promotion was refused because another promotion had claimed the destination, and the claim is free again.
 */
async function isClaimFreed({ scan }: Reading, row: PromotionRow): Promise<boolean> {
  if (row.runOpen || row.last?.code !== 'DESTINATION_TAKEN') return false;
  const { id, destination } = row;
  return isDestinationFree(scan.ports, { promotionId: id, destination });
}

/** True for a row that is in sync although its tag is not listed. Cancelled and refused rows stay as they are. */
function isInSync({ rule, repository }: Reading, { source, runOpen, state }: PromotionRow): boolean {
  return !runOpen && state === 'in_sync' && isTaken(rule, repository, source.tag);
}

/**
 * Checks the row and the tag again before it starts a run: the row may have changed, and a tag list may lag behind.
 * @returns false if a run is needed but no more may be started
 */
async function startIfNeeded(reading: Reading, { name, listed }: Candidate): Promise<boolean> {
  const { scan, rule, destinations } = reading;
  try {
    if (!(await (listed === undefined ? isTagGone(reading, name) : isNeeded()))) return true;
    if (isRunLimitReached(scan)) return false;
    await triggerRun(scan, rule, name);
  } catch (error) {
    // One bad row, a destination that cannot be formed, or a failing request does not stop the scan. The next full scan
    // tries again.
    if (!isRowError(error)) {
      if (reading.signal.aborted || !(error instanceof RegistryError) || reading.troubles >= MOST_TROUBLES) throw error;
      reading.troubles += 1;
    }
    addProblem(scan, rule, error);
  }
  return true;

  async function isNeeded(): Promise<boolean> {
    if (listed === undefined) return false;
    const now = await candidateOf(reading, listed, await rowNow(reading, name.tag));
    return now !== undefined && !(isCompared(now) && (await destinations.stands(now)));
  }
}

/** Reads one row as it is at this moment. */
async function rowNow({ scan, rule, repository }: Reading, tag: string): Promise<PromotionRow | undefined> {
  const id = promotionId(rule.name, { registry: rule.source.registry, repository, tag });
  return (await scan.ports.store.getPromotion(id))?.value;
}

async function isTagGone(reading: Reading, name: TagName): Promise<boolean> {
  const row = await rowNow(reading, name.tag);
  if (row === undefined || !isInSync(reading, row)) return false;
  return (await resolveTag(reading.scan.ports, name, reading.signal)) === undefined;
}
