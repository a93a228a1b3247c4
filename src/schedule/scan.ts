import { PromoterError, RegistryError, describeError } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';
import type { Share } from './shares.js';
import type { StepCall } from '../ports/step.js';

/** Tags of a repository that a scan looks at together: a page of ACR's list. */
export const SCANNED_TAGS = 100;
/** Problems that one call of the scan tells, and how long each may be; more are left out. */
const MOST_PROBLEMS = 20;
const PROBLEM_CHARACTERS = 500;

/** What the parts of one tick share. */
export interface Scan {
  /** Its registries count each request. */
  ports: Pick<
    Ports,
    'registries' | 'listing' | 'store' | 'engine' | 'rules' | 'documents' | 'signer' | 'paused' | 'now' | 'jobPolicy'
  >;
  /** What scans may ask of each registry. */
  share: Pick<Share, 'left'>;
  call: StepCall;
  /** Epoch milliseconds. */
  until: number;
  /** The time of PROMOTION_SCHEDULE for which it scans: epoch milliseconds. */
  dueMs: number;
  /** True in the first tick for that time. */
  isBegin: boolean;
  /** Since that time, and at most. */
  started: number;
  maxStarted: number;
  looked: number;
  problems: string[];
}

export function isOver(scan: Pick<Scan, 'until'> & { ports: Pick<Ports, 'now'> }): boolean {
  return scan.ports.now().getTime() >= scan.until;
}

export function isFull(scan: Pick<Scan, 'started' | 'maxStarted'>): boolean {
  return scan.started >= scan.maxStarted;
}

/** True for what is wrong with one row, and no reason to leave the others; a store or an engine that is down is one. */
export function isOfOneRow(error: unknown): error is PromoterError {
  if (!(error instanceof PromoterError) || error instanceof RegistryError) return false;
  return !error.transient || error.code === 'ROW_CONTENDED';
}

export function addProblem(scan: Scan, rule: Rule, error: PromoterError): void {
  const { code, message } = describeError(error);
  addText(scan, `rule ${rule.name}: ${code}: ${message}`);
}

/** What is not as it should be, and what somebody who looks at the schedule wants to know. */
export function addText(scan: Pick<Scan, 'call' | 'problems'>, whole: string): void {
  const text = whole.slice(0, PROBLEM_CHARACTERS);
  scan.call.progress.text(text);
  if (scan.problems.length < MOST_PROBLEMS) scan.problems.push(text);
}
