import { PromoterError, RegistryError, describeError } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';
import type { Share } from './shares.js';
import type { StepCall } from '../ports/step.js';

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
  call: StepCall;
  /** When the scan must stop, in epoch milliseconds. */
  until: number;
  /** The time of PROMOTION_SCHEDULE that this scan is for, in epoch milliseconds. */
  dueMs: number;
  /** True in the first tick for that time. */
  isBegin: boolean;
  /** Runs started since that time, and the most that may be started. */
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

/**
 * True if the error concerns one row only, so that the scan can continue. False if the store, the engine or a registry
 * is down.
 */
export function isOfOneRow(error: unknown): error is PromoterError {
  if (!(error instanceof PromoterError) || error instanceof RegistryError) return false;
  return !error.transient || error.code === 'ROW_CONTENDED';
}

export function addProblem(scan: Scan, rule: Rule, error: PromoterError): void {
  const { code, message } = describeError(error);
  addText(scan, `rule ${rule.name}: ${code}: ${message}`);
}

/** Records a problem, or something that an operator who reads the log wants to know. */
export function addText(scan: Pick<Scan, 'call' | 'problems'>, whole: string): void {
  const text = whole.slice(0, PROBLEM_CHARACTERS);
  scan.call.progress.text(text);
  if (scan.problems.length < MOST_PROBLEMS) scan.problems.push(text);
}
