import { describeError, type PromoterError } from '../oci/index.js';
import type { Rule } from '../promotion/rule.js';
import { STEP_LIMITS } from './limits.js';
import type { Ports, StepCall } from './ports.js';

/** One stretch of the schedule's walk, as far as it has come. */
export interface Walk {
  ports: Pick<
    Ports,
    'registries' | 'listing' | 'store' | 'engine' | 'rules' | 'documents' | 'signer' | 'paused' | 'now'
  >;
  call: StepCall;
  /** Epoch milliseconds. */
  until: number;
  /** In this tick, and at most. */
  started: number;
  maxStarted: number;
  looked: number;
  problems: string[];
}

export function isOver(walk: Walk): boolean {
  return walk.ports.now().getTime() >= walk.until;
}

export function isFull(walk: Walk): boolean {
  return walk.started >= walk.maxStarted;
}

export function noteProblem(walk: Walk, rule: Rule, error: PromoterError): void {
  const { code, message } = describeError(error);
  const text = `rule ${rule.name}: ${code}: ${message}`.slice(0, STEP_LIMITS.problemCharacters);
  walk.call.progress.text(text);
  if (walk.problems.length < STEP_LIMITS.problems) walk.problems.push(text);
}
