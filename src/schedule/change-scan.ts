import { PromoterError, orNone, type ChangedManifest, type ChangedTag } from '../oci/index.js';
import { subjectOfDigestTag } from '../rules/match.js';
import { promotionId } from '../rules/rule.js';
import type { Change } from '../promotions/change.js';
import { handleChange } from '../promotions/handle-change.js';
import { NO_NEWS } from '../rows/news.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { ListCursor, ScanCursor } from '../rows/scan-row.js';
import { ExistingTags } from './existing-tags.js';
import { isSettled, readNewest, type Newest } from './read-newest.js';
import { addProblem, decide, isolated, isTaken, mustStop, type RepositoryScan } from './scan.js';

/** Changes handled in parallel. */
const AT_ONCE = 8;
/** After this many changes that could not be handled, the scan fails: the registry may be down. */
const MOST_TROUBLES = 3;

/**
 * Reads the newest entries of a repository's tag and manifest lists and handles each like a push event. A quiet
 * repository costs two requests. The cursor moves forward once every entry is handled. If there were more entries than
 * the page limit allows to read, a full scan follows.
 * @returns true if every entry was handled; otherwise the next scan starts at the same cursor and skips the handled
 * entries
 */
export async function changeScan(place: RepositoryScan): Promise<boolean> {
  const { cursor } = place.state;
  if (cursor === undefined) return true;
  const { tags, manifests } = await readLists(place, cursor);
  const isCut = tags.isCut || manifests.isCut;
  // A full scan follows.
  if (isCut) place.state = { ...place.state, fingerprint: undefined };
  const known = await existingOf(place, tags);
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
    place.state = { ...place.state, cursor: next, ...(isWhole && { partly: undefined }) };
  }
  return !done.tags.isStopped && !done.manifests.isStopped;
}

/** Returns a cursor at the newest entries. @throws PromoterError `NO_ACR_LISTS` */
export async function newestCursor(
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

/** The digests that these tags had when the repository was first scanned, if the rule ignores existing tags. */
async function existingOf(
  { scan, rule, repository, state: { existing } }: RepositoryScan,
  { fresh }: Newest<ChangedTag>,
): Promise<ReadonlyMap<string, string>> {
  const taken = fresh.map(({ entry: { name } }) => name).filter((name) => isTaken(rule, repository, name));
  if (existing === undefined || taken.length === 0) return new Map();
  return new ExistingTags(scan.ports, rule, repository, existing).digestsOf(taken);
}

interface Handled {
  /** Keys of the entries that are finished. */
  keys: string[];
  /** Keys of the entries that the next scan must check again: the manifest is listed but cannot be read yet. */
  again: string[];
  /** If false, the cursor does not move. */
  isWhole: boolean;
  /** The time is over, or no more runs may be started. */
  isStopped: boolean;
  /** The number of changes that could not be handled. */
  troubles: number;
  /** True if one of those is tried again by the next scan, so the cursor must not move. */
  isHeld: boolean;
}

function nothingHandled(): Handled {
  return { keys: [], again: [], isWhole: false, isStopped: false, troubles: 0, isHeld: false };
}

type Outcome = 'done' | 'again' | 'stopped' | 'failed';

/** Handles the new entries, oldest first, until the scan must stop. An entry that fails does not stop the others. */
async function handleAll<T extends { updatedAt: string }>(
  place: RepositoryScan,
  { fresh }: Newest<T>,
  handled: Handled,
  handle: (entry: T, key: string) => Promise<Outcome>,
): Promise<void> {
  const { scan } = place;
  for (let from = 0; from < fresh.length;) {
    handled.isStopped ||= mustStop(place);
    if (handled.isStopped) return;
    const some = fresh.slice(from, from + Math.min(AT_ONCE, scan.maxStarted - scan.started));
    await Promise.all(
      some.map(async ({ entry, key }) => {
        // Reserve a run before it is known whether one starts: other repositories are scanned in parallel.
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

/** Records a change that could not be handled. The next scans try it again until it is two hours old. */
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
    // Most new entries were already reported by a push event, so an open or finished run covers them.
    const isKnown =
      row?.runOpen === true ? isNamed(row, digest) : decide(place, { digest, updatedAt: at }, row) !== 'increment';
    // A deleted tag that is listed again needs a run, whatever the times say.
    const isBack = row?.runOpen === false && row.last?.code === 'SOURCE_GONE';
    if (isKnown && !isBack) return 'done';
  }
  return handlePushed(place, { kind: 'pushed', registry, repository, tag, digest, at, by: 'schedule' }, key);
}

/** True if the open run will see this digest, because the row's news names it. */
function isNamed({ news: { tag } = NO_NEWS }: PromotionRow, digest: string): boolean {
  return tag?.digest === digest && tag.deleted !== true;
}

/**
 * Skips manifests that have a matching tag, because handleTag handles those. The others matter if they have a subject.
 */
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

/**
 * @param key identifies the entry in `state.partly`, which keeps the progress of a change with more promotions than may
 * be started at once
 */
async function handlePushed(place: RepositoryScan, change: Change, key: string): Promise<Outcome> {
  const { scan, rule, signal } = place;
  // Each rule has its own scan, so this change is handled for one rule only.
  const ports = { ...scan.ports, rules: { ...scan.ports.rules, load: () => Promise.resolve([rule]) } };
  let outcome: Outcome = 'done';
  // An error of this row: it cannot be parsed, or the rule's destination cannot be formed from this name.
  await isolated(scan, `rule ${rule.name}`, async () => {
    let from = place.state.partly?.[key];
    do {
      // One run is already reserved for this change.
      const most = Math.max(scan.maxStarted - scan.started + 1, 1);
      const { state, next, incremented } = await handleChange(ports, change, signal, from, most);
      scan.checked += 1;
      scan.started += incremented.length;
      // A manifest that is unreadable for hours is not a late replica.
      if (state === 'unreadable' && !isSettled(Date.parse(change.at), scan.ports.now())) outcome = 'again';
      from = state === 'more' ? next : undefined;
      if (from !== undefined) place.state = { ...place.state, partly: { ...place.state.partly, [key]: from } };
      if (from !== undefined && mustStop(place)) outcome = 'stopped';
    } while (from !== undefined && outcome === 'done');
  });
  return outcome;
}

function without({ newestMs, handled }: ListCursor, keys: readonly string[]): ListCursor {
  return { newestMs, handled: handled.filter((key) => !keys.includes(key)) };
}

function withHandled({ newestMs, handled }: ListCursor, keys: readonly string[]): ListCursor {
  return { newestMs, handled: [...new Set([...handled, ...keys])] };
}
