import { PromoterError, RegistryError, describeError, orNone, type TagDetails } from '../oci/index.js';
import { decideTag } from '../rules/decide.js';
import { demandsEvidence, fingerprint, type Rule } from '../rules/rule.js';
import { matchRules, type TagName } from '../rules/match.js';
import { incrementGeneration } from '../rows/generation.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { ScanState } from '../rows/scan-row.js';
import type { Ports } from '../ports/ports.js';
import type { Share } from './request-shares.js';

/** Tags handled together: one page of ACR's list. */
export const SCANNED_TAGS = 100;
/** At most this many problems are kept per scan, each cut to this many characters. */
const MOST_PROBLEMS = 20;
const PROBLEM_CHARACTERS = 500;

/** State that all parts of one scan share. */
export interface Scan {
  /** Each request to a registry is counted. */
  ports: Pick<
    Ports,
    'registries' | 'listing' | 'store' | 'engine' | 'rules' | 'documents' | 'signer' | 'paused' | 'now' | 'jobPolicy'
  >;
  /** How many requests the scan may still send to each registry. */
  share: Pick<Share, 'left'>;
  /** Aborted when the scan's time is over. */
  signal: AbortSignal;
  /** When the scan must stop, in epoch milliseconds. */
  until: number;
  /** The time of PROMOTION_SCHEDULE that this scan is for, in epoch milliseconds. */
  dueMs: number;
  /** True in the first tick for that time. */
  isBegin: boolean;
  /** Runs started since that time, and the most that may be started. */
  started: number;
  maxStarted: number;
  checked: number;
  problems: string[];
}

export function isTimeOver(scan: Pick<Scan, 'until'> & { ports: Pick<Ports, 'now'> }): boolean {
  return scan.ports.now().getTime() >= scan.until;
}

export function isRunLimitReached(scan: Pick<Scan, 'started' | 'maxStarted'>): boolean {
  return scan.started >= scan.maxStarted;
}

/**
 * True if the error concerns one row only, so that the scan can continue. False if the store, the engine or a registry
 * is down.
 */
export function isRowError(error: unknown): error is PromoterError {
  if (!(error instanceof PromoterError) || error instanceof RegistryError) return false;
  return !error.transient || error.code === 'ROW_CONTENDED';
}

export function addProblem(scan: Scan, rule: Rule, error: PromoterError): void {
  const { code, message } = describeError(error);
  addProblemText(scan, `rule ${rule.name}: ${code}: ${message}`);
}

/** Records a problem, or something that an operator who reads the log wants to know. */
export function addProblemText({ problems }: { problems: string[] }, text: string): void {
  if (problems.length < MOST_PROBLEMS) problems.push(text.slice(0, PROBLEM_CHARACTERS));
}

/**
 * Handles one row. An error of this row is recorded and does not stop the others.
 * @param what names the row in the problem @param isOwn tells the errors that concern only this row
 * @returns true if there was no error
 */
export async function isolated(
  found: { problems: string[] },
  what: string,
  work: () => Promise<unknown>,
  isOwn: (error: unknown) => boolean = isRowError,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!isOwn(error)) throw error;
    const { code, message } = describeError(error);
    addProblemText(found, `${what}: ${code}: ${message}`);
    return false;
  }
}

/** One repository of one rule during a scan. */
export interface RepositoryScan {
  scan: Scan;
  rule: Rule;
  repository: string;
  /** Progress so far. It is written even if the scan fails. */
  state: ScanState;
  /** Aborted when the repository's time is over. */
  signal: AbortSignal;
  /** After this time no new piece is begun, in epoch milliseconds. */
  until: number;
}

/** True if no new piece may be begun: the time is over or the registry's request share is used up. */
export function mustPause({ scan, rule, until }: RepositoryScan): boolean {
  return scan.ports.now().getTime() >= until || scan.share.left(rule.source.registry) <= 0;
}

/** True if no new piece may be begun, or no more runs may be started. */
export function mustStop(place: RepositoryScan): boolean {
  return mustPause(place) || isRunLimitReached(place.scan);
}

/** Decides what the schedule does with a tag, from its row. */
export function decide(
  { scan, rule }: RepositoryScan,
  { digest, updatedAt }: { digest: string; updatedAt?: string },
  row: PromotionRow | undefined,
): ReturnType<typeof decideTag> {
  const [isGated, now] = [demandsEvidence(rule), scan.ports.now()];
  return decideTag({ digest, updatedAt, isGated, fingerprint: fingerprint(rule), now, row });
}

export function isTaken(rule: Rule, repository: string, tag: string): boolean {
  return matchRules([rule], { registry: rule.source.registry, repository, tag }).rules.length > 0;
}

/**
 * Lists all tags of a repository with their digests, including those that the rule does not match. Yields nothing if
 * the repository does not exist (yet).
 * @param options.last lists the tags after this one
 */
export function everyTagOf(
  ports: Pick<Ports, 'listing'>,
  rule: Rule,
  repository: string,
  options: { signal: AbortSignal; last: string | undefined },
): AsyncGenerator<TagDetails> {
  return orNone(ports.listing.repository(rule.source.registry, repository).listTagDetails(options));
}

/** Increments the generation of a promotion, which starts a run, and counts the run. An error takes it back. */
export async function triggerRun(scan: Scan, rule: Rule, source: TagName): Promise<void> {
  scan.started += 1;
  try {
    await incrementGeneration(scan.ports, rule, source, { kind: 'schedule' });
  } catch (error) {
    scan.started -= 1;
    throw error;
  }
}
