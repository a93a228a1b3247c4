import { PromoterError, RegistryError, type ChangedManifest, type ChangedTag } from '../oci/index.js';
import { subjectOfDigestTag } from '../rules/match.js';
import { promotionId } from '../rules/promotion-id.js';
import type { Change } from '../promotions/change.js';
import { handleChange } from '../promotions/handle-change.js';
import { NO_NEWS } from '../rows/news.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { ListCursor, ScanCursor } from '../rows/scan-row.js';
import { ExistingTags } from './existing-tags.js';
import { isSettled, readNewest, type Newest } from './read-newest.js';
import { decide, isToStop, type RepositoryScan } from './repository-scan.js';
import { isOfOneRow, addProblem } from './scan.js';
import { isTaken } from './source-repositories.js';

/** Changes that are handled side by side. */
const AT_ONCE = 8;
/** Changes that cannot be handled before the scan fails: its registry may be down. */
const MOST_TROUBLES = 3;

/**
 * Reads what is new in a repository by the registry's lists of the newest tags and manifests, and handles it like push events: a quiet
 * repository costs two requests. The cursor moves on when all is handled; if there may be more than was read, a full scan comes next.
 * @returns true when all is handled; otherwise the next scan begins at the same cursor, without what was handled
 */
export async function changeScan(place: RepositoryScan): Promise<boolean> {
  const { cursor } = place.state;
  if (cursor === undefined) return true;
  const { tags, manifests } = await readLists(place, cursor);
  const isCut = tags.isCut || manifests.isCut;
  if (isCut) dropFingerprint(place);
  const known = await existingOf(
    place,
    tags.fresh.map(({ entry }) => entry),
  );
  const done = { tags: nothingHandled(), manifests: nothingHandled() };
  try {
    await handleAll(place, tags, done.tags, (entry, key) => handleTag(place, entry, key, known));
    await handleAll(place, manifests, done.manifests, (entry, key) => handleManifest(place, entry, key));
  } finally {
    const isWhole = done.tags.isWhole && done.manifests.isWhole;
    const next = isWhole
      ? { tags: without(tags.next, done.tags.again), manifests: without(manifests.next, done.manifests.again) }
      : {
          tags: withHandled(cursor.tags, done.tags.keys),
          manifests: withHandled(cursor.manifests, done.manifests.keys),
        };
    const { partly, ...state } = place.state;
    place.state = { ...state, cursor: next, ...(!isWhole && partly && { partly }) };
  }
  return !done.tags.isStopped && !done.manifests.isStopped;
}

/** The cursor of a repository as it is now. @throws PromoterError `NO_ACR_LISTS` */
export async function cursorNow(
  place: Pick<RepositoryScan, 'scan' | 'rule' | 'repository' | 'signal'>,
): Promise<ScanCursor> {
  const { tags, manifests } = await readLists(place, undefined);
  return { tags: tags.next, manifests: manifests.next };
}

async function readLists(
  { scan, rule, repository, signal }: Pick<RepositoryScan, 'scan' | 'rule' | 'repository' | 'signal'>,
  cursor: ScanCursor | undefined,
): Promise<{ tags: Newest<ChangedTag>; manifests: Newest<ChangedManifest> }> {
  const lists = scan.ports.listing.repository(rule.source.registry, repository);
  const now = scan.ports.now();
  const [tags, manifests] = await Promise.all([
    readNewest(orNone(lists.listNewestTags({ signal })), cursor?.tags, ({ name, digest }) => `${name} ${digest}`, now),
    readNewest(orNone(lists.listNewestManifests({ signal })), cursor?.manifests, ({ digest }) => digest, now),
  ]);
  return { tags, manifests };
}

/** Nothing if the repository is not there (yet). */
async function* orNone<T>(pages: AsyncIterable<T[]>): AsyncGenerator<T[]> {
  try {
    yield* pages;
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
  }
}

function dropFingerprint(place: RepositoryScan): void {
  const { fingerprint: _before, ...state } = place.state;
  place.state = state;
}

/** The digests that these tags had when the repository was first scanned, of a rule that leaves those alone. */
async function existingOf(
  { scan, rule, repository, state: { existing } }: RepositoryScan,
  tags: readonly ChangedTag[],
): Promise<ReadonlyMap<string, string>> {
  const taken = tags.map(({ name }) => name).filter((name) => isTaken(rule, repository, name));
  if (existing === undefined || taken.length === 0) return new Map();
  return new ExistingTags(scan.ports, rule, repository, existing).digestsOf(taken);
}

interface Handled {
  /** Of those that need no more. */
  keys: string[];
  /** Of those that are to be looked at again by the next scan: a manifest that is listed and cannot be read yet. */
  again: string[];
  /** False: the cursor stays where it is, for what was not handled. */
  isWhole: boolean;
  /** There was no time for the rest, or no more runs may be started. */
  isStopped: boolean;
  /** Changes that could not be handled; some of them are to be tried again. */
  troubles: number;
  isHeld: boolean;
}

function nothingHandled(): Handled {
  return { keys: [], again: [], isWhole: false, isStopped: false, troubles: 0, isHeld: false };
}

type Outcome = 'done' | 'again' | 'stopped' | 'failed';

/** Handles what is new, oldest first, until the scan is to stop. What fails keeps the others from nothing. */
async function handleAll<T extends { updatedAt: string }>(
  place: RepositoryScan,
  { fresh }: Newest<T>,
  handled: Handled,
  handle: (entry: T, key: string) => Promise<Outcome>,
): Promise<void> {
  const { scan } = place;
  for (let from = 0; from < fresh.length;) {
    handled.isStopped ||= isToStop(place);
    if (handled.isStopped) return;
    const some = fresh.slice(from, from + Math.min(AT_ONCE, scan.maxStarted - scan.started));
    await Promise.all(
      some.map(async ({ entry, key }) => {
        // Taken until it is known what it starts: other repositories are scanned at the same time.
        scan.started += 1;
        const outcome = await handle(entry, key)
          .catch((error: unknown) => troubleWith(place, handled, entry, error))
          .finally(() => (scan.started -= 1));
        if (outcome === 'done') handled.keys.push(key);
        if (outcome === 'again') handled.again.push(key);
        handled.isStopped ||= outcome === 'stopped';
      }),
    );
    from += some.length;
  }
  handled.isWhole = !handled.isStopped && !handled.isHeld;
}

/** One change that cannot be handled: the next scan tries again, for two hours. */
function troubleWith(
  { scan, rule, signal }: RepositoryScan,
  handled: Handled,
  { updatedAt }: { updatedAt: string },
  error: unknown,
): Outcome {
  if (signal.aborted || !(error instanceof PromoterError) || handled.troubles >= MOST_TROUBLES) throw error;
  addProblem(scan, rule, error);
  handled.troubles += 1;
  if (isSettled(Date.parse(updatedAt), scan.ports.now())) return 'done';
  handled.isHeld = true;
  return 'failed';
}

async function handleTag(
  place: RepositoryScan,
  { name: tag, digest, updatedAt: at }: ChangedTag,
  key: string,
  existing: ReadonlyMap<string, string>,
): Promise<Outcome> {
  const { scan, rule, repository } = place;
  const { registry } = rule.source;
  if (subjectOfDigestTag(tag) === undefined) {
    if (!isTaken(rule, repository, tag)) return 'done';
    const row = (await scan.ports.store.getPromotion(promotionId(rule.name, { registry, repository, tag })))?.value;
    if (row === undefined && existing.get(tag) === digest) return 'done';
    // Most of what is new was reported by its event: a run has seen it, or will.
    const isKnown =
      row?.runOpen === true ? isNamed(row, digest) : decide(place, { digest, updatedAt: at }, row) !== 'raise';
    // One that was gone is back, whatever the clocks say of when that was.
    const isBack = row?.runOpen === false && row.last?.code === 'SOURCE_GONE';
    if (isKnown && !isBack) return 'done';
  }
  return handlePushed(place, { kind: 'pushed', registry, repository, tag, digest, at, by: 'schedule' }, key);
}

/** If the open run knows of this digest, or its row does. */
function isNamed({ news: { tag } = NO_NEWS }: PromotionRow, digest: string): boolean {
  return tag?.digest === digest && tag.deleted !== true;
}

/** Manifests with a tag that the rule takes are handled by that; of the others those count that refer to another. */
async function handleManifest(
  place: RepositoryScan,
  { digest, tags, updatedAt: at }: ChangedManifest,
  key: string,
): Promise<Outcome> {
  const { rule, repository } = place;
  if (tags.some((tag) => subjectOfDigestTag(tag) !== undefined || isTaken(rule, repository, tag))) return 'done';
  const { registry } = rule.source;
  return handlePushed(place, { kind: 'pushed', registry, repository, digest, at, by: 'schedule' }, key);
}

/** @param key under which it is kept how far it was handled, if more promotions stand on it than may be started */
async function handlePushed(place: RepositoryScan, change: Change, key: string): Promise<Outcome> {
  const { scan, rule, signal } = place;
  // The other rules scan for themselves.
  const ports = { ...scan.ports, rules: { ...scan.ports.rules, load: () => Promise.resolve([rule]) } };
  try {
    let from = place.state.partly?.[key];
    for (;;) {
      // It is one of those that are taken.
      const most = scan.maxStarted - scan.started + 1;
      const handled = await handleChange(ports, change, signal, from, Math.max(most, 1));
      scan.looked += 1;
      scan.started += handled.raised.length;
      // What cannot be read for hours is no replica that is late.
      if (handled.state === 'unreadable') return isSettled(Date.parse(change.at), scan.ports.now()) ? 'done' : 'again';
      if (handled.state === 'done') return 'done';
      from = handled.next;
      if (from !== undefined) place.state = { ...place.state, partly: { ...place.state.partly, [key]: from } };
      if (isToStop(place)) return 'stopped';
    }
  } catch (error) {
    // A row that can't be read, or no destination can be made of this name.
    if (!isOfOneRow(error)) throw error;
    addProblem(scan, rule, error);
    return 'done';
  }
}

function without({ newestMs, handled }: ListCursor, keys: readonly string[]): ListCursor {
  return { newestMs, handled: handled.filter((key) => !keys.includes(key)) };
}

function withHandled({ newestMs, handled }: ListCursor, keys: readonly string[]): ListCursor {
  return { newestMs, handled: [...new Set([...handled, ...keys])] };
}
