import { PromoterError, RegistryError, describeError } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';

/** Tags of a repository that the walk looks at together: a page of ACR's list. */
export const WALKED_TAGS = 100;
/** Problems that one stretch of the walk tells, and how long each may be; more are left out. */
const MOST_PROBLEMS = 20;
const PROBLEM_CHARACTERS = 500;

/** One stretch of the schedule's walk, as far as it has come. */
export interface Walk {
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

export function isOver(walk: Walk): boolean {
  return walk.ports.now().getTime() >= walk.until;
}

/** True where a piece of it is to end as soon as it can be gone on with. */
export function isToStop(walk: Walk): boolean {
  return walk.isBitByBit === true || isOver(walk);
}

export function noteAsked({ asked }: Pick<Walk, 'asked'>, registry: string, requests = 1): void {
  asked.set(registry, (asked.get(registry) ?? 0) + requests);
}

export function isFull(walk: Walk): boolean {
  return walk.started >= walk.maxStarted;
}

/** True for what is wrong with one row, and no reason to leave the others; a store or an engine that is down is one. */
export function isOfOneRow(error: unknown): error is PromoterError {
  if (!(error instanceof PromoterError) || error instanceof RegistryError) return false;
  return !error.transient || error.code === 'ROW_CONTENDED';
}

export function noteProblem(walk: Walk, rule: Rule, error: PromoterError): void {
  const { code, message } = describeError(error);
  noteText(walk, `rule ${rule.name}: ${code}: ${message}`);
}

/** What is not as it should be, and what somebody who looks at the schedule wants to know. */
export function noteText(walk: Walk, whole: string): void {
  const text = whole.slice(0, PROBLEM_CHARACTERS);
  walk.call.progress.text(text);
  if (walk.problems.length < MOST_PROBLEMS) walk.problems.push(text);
}
