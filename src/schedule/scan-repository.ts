import { InputError, RegistryError, parseReference, type TagDetails } from '../oci/index.js';
import { decideTag } from '../rules/decide.js';
import type { TagName } from '../rules/match.js';
import { demandsEvidence, fingerprint } from '../rules/fingerprint.js';
import type { Rule } from '../rules/rule.js';
import { raiseWanted } from '../rows/increment.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { Baseline } from './baseline.js';
import { isDestinationFree } from '../rows/claims.js';
import { DestinationTags } from './destination-tags.js';
import { PromotionRows } from './promotion-rows.js';
import { everyTagOf, isTaken } from './source-repositories.js';
import { isFull, isOfOneRow, isToStop, countAsked, addProblem, type Scan, SCANNED_TAGS } from './scan.js';

/** Requests, and runs that are started, side by side. */
const SCANNED_AT_ONCE = 16;

/** One repository while its tags are scanned. */
interface Place {
  scan: Scan;
  rule: Rule;
  repository: string;
  /** `existing: ignore`: what the rule's source held at first. */
  baseline: Baseline | undefined;
  rows: PromotionRows;
  destinations: DestinationTags;
}

/**
 * Looks at a repository's tags, from `last` on, a page at a time.
 * @returns the tag after which it is to go on, where time was over or no more runs may be started; undefined: that was all
 */
export async function scanRepository(
  scan: Scan,
  rule: Rule,
  repository: string,
  last: string | undefined,
  baseline: Baseline | undefined,
): Promise<string | undefined> {
  const { ports, call } = scan;
  const place: Place = {
    scan,
    rule,
    repository,
    baseline,
    rows: new PromotionRows(ports.store, rule, repository),
    destinations: new DestinationTags(ports, call.signal, (registry) => countAsked(scan, registry)),
  };
  let batch: TagDetails[] = [];
  try {
    await place.rows.read();
    const options = { signal: call.signal, ...(last !== undefined && { last }) };
    let read = 0;
    countAsked(scan, rule.source.registry);
    for await (const listed of everyTagOf(ports, rule, repository, options)) {
      // The first one of a further page.
      if (read > 0 && read % SCANNED_TAGS === 0) countAsked(scan, rule.source.registry);
      read += 1;
      if (!isTaken(rule, repository, listed.name)) continue;
      batch.push(listed);
      if (batch.length < SCANNED_TAGS) continue;
      const seen = await lookAtAll(place, batch);
      batch = [];
      if (isFull(scan) || isToStop(scan)) return seen;
    }
    const seen = await lookAtAll(place, batch);
    if (isFull(scan)) return seen;
  } catch (error) {
    // This repository may not be read, or is malformed; a registry that is down ends the rule.
    const itsOwn = error instanceof RegistryError || error instanceof InputError;
    if (!itsOwn || error.transient) throw error;
    addProblem(scan, rule, error);
  }
  return undefined;
}

interface Listed extends Pick<TagDetails, 'name' | 'digest' | 'updatedAt'> {
  /** Its digest when the rule was first read. */
  baseline?: string;
}

/** A tag that may need a run; with `destination`, where only that can tell. */
interface Doubt extends Omit<Listed, 'name'> {
  name: TagName;
  destination?: TagName;
}
type Compared = Doubt & { destination: TagName };

function isCompared(doubt: Doubt): doubt is Compared {
  return doubt.destination !== undefined;
}

/** @returns the tag up to which all that was to be raised is */
async function lookAtAll(place: Place, tags: readonly TagDetails[]): Promise<string | undefined> {
  const { scan, destinations } = place;
  const last = tags.at(-1)?.name;
  scan.looked += tags.length;
  const rows = new Map<string, PromotionRow | undefined>();
  for (const { name } of tags) rows.set(name, await place.rows.of(name));
  const rowless = tags.map(({ name }) => name).filter((name) => rows.get(name) === undefined);
  const baseline = await place.baseline?.digestsOf(place.repository, rowless);
  const doubts: Doubt[] = [];
  for (const listed of tags) {
    const atFirst = baseline?.get(listed.name);
    const seen = { ...listed, ...(atFirst !== undefined && { baseline: atFirst }) };
    const doubt = await doubtOf(place, seen, rows.get(listed.name));
    if (doubt !== undefined) doubts.push(doubt);
  }
  // Paused, it would be wanted once more at each tick: what is lacking is seen again when that is lifted.
  if (scan.ports.paused) return last;
  const confirmed = await destinations.listed(doubts.filter(isCompared));
  const open = doubts.filter((doubt) => !isCompared(doubt) || !confirmed.has(doubt));
  for (let from = 0; from < open.length;) {
    // No more at once than may be started, so that none in between is left out.
    const some = open.slice(from, from + Math.min(SCANNED_AT_ONCE, scan.maxStarted - scan.started));
    await Promise.all(some.map((doubt) => raise(place, doubt)));
    from += some.length;
    if (isFull(scan)) return some.at(-1)?.name.tag;
  }
  return last;
}

/** Undefined: nothing to do, by what the row says. */
async function doubtOf(
  { scan, rule, repository }: Place,
  { name: tag, digest, updatedAt, baseline }: Listed,
  row: PromotionRow | undefined,
): Promise<Doubt | undefined> {
  const name = { registry: rule.source.registry, repository, tag };
  const seen = { digest, ...(updatedAt !== undefined && { updatedAt }), ...(baseline !== undefined && { baseline }) };
  const decision = decideTag({
    ...seen,
    isGated: demandsEvidence(rule),
    fingerprint: fingerprint(rule),
    now: scan.ports.now(),
    ...(row !== undefined && { row }),
  });
  const doubt = { name, ...seen };
  if (decision === 'compare' && row !== undefined) {
    const { registry, repository: to, tag: at = '' } = parseReference(row.destination);
    return { ...doubt, destination: { registry, repository: to, tag: at } };
  }
  const isWanted = decision === 'raise' || (row !== undefined && (await isFreeAgain(scan, rule, name, row)));
  return isWanted ? doubt : undefined;
}

/** The row may have changed since the list was read, and a list of tags may be late: both are asked again. */
async function raise(place: Place, doubt: Doubt): Promise<void> {
  const { scan, rule, rows, destinations } = place;
  try {
    const now = await doubtOf(place, { ...doubt, name: doubt.name.tag }, await rows.now(doubt.name.tag));
    if (now === undefined || (isCompared(now) && (await destinations.stands(now))) || isFull(scan)) return;
    scan.started += 1;
    await raiseWanted(scan.ports, rule, now.name, { kind: 'schedule' }).catch((error: unknown) => {
      scan.started -= 1;
      throw error;
    });
  } catch (error) {
    // Its row can't be read, or no destination be made of this name.
    if (!isOfOneRow(error)) throw error;
    addProblem(scan, rule, error);
  }
}

/** True where the destination belonged to another rule when this was refused, and does so no longer. */
async function isFreeAgain(scan: Scan, rule: Rule, name: TagName, row: PromotionRow): Promise<boolean> {
  if (row.runOpen || row.last?.code !== 'DESTINATION_TAKEN') return false;
  const { id, destination } = row;
  return isDestinationFree(scan.ports, { promotionId: id, rule, source: name, destination });
}
