import { PromoterError, RegistryError, describeError } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';

/** Tags of a repository that the scan looks at together: a page of ACR's list. */
export const SCANNED_TAGS = 100;
/** Problems that one call of the scan tells, and how long each may be; more are left out. */
const MOST_PROBLEMS = 20;
const PROBLEM_CHARACTERS = 500;

/** One call of the schedule's scan, as far as it has come. */
export interface Scan {
  ports: Pick<
    Ports,
    'registries' | 'listing' | 'store' | 'engine' | 'rules' | 'documents' | 'signer' | 'paused' | 'now'
  >;
  call: StepCall;
  /** Epoch milliseconds. */
  until: number;
  /** True where it is done in the smallest pieces. */
  isBitByBit?: boolean;
  /** In this tick, and at most. */
  started: number;
  maxStarted: number;
  looked: number;
  /** Requests that this tick has made of each registry so far, by what they are known to take. */
  asked: Map<string, number>;
  problems: string[];
}

export function isOver(scan: Pick<Scan, 'until'> & { ports: Pick<Ports, 'now'> }): boolean {
  return scan.ports.now().getTime() >= scan.until;
}

/** True where a piece of it is to end as soon as it can be gone on with. */
export function isToStop(scan: Scan): boolean {
  return scan.isBitByBit === true || isOver(scan);
}

export function countAsked({ asked }: Pick<Scan, 'asked'>, registry: string, requests = 1): void {
  asked.set(registry, (asked.get(registry) ?? 0) + requests);
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
