import { randomUUID } from 'node:crypto';
import { type Rule, ruleSchema } from '../../../src/rules/rule.js';
import type { StoredDigest } from '../../../src/ports/stored-digest.js';
import { newRunId } from '../../../src/rows/open-run.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { RunRow } from '../../../src/rows/run-row.js';
import type { StepProgress } from '../../../src/rows/step-progress.js';

const T0 = Date.parse('2026-05-01T12:00:00.000Z');

/** A time `seconds` after the noon at which all these rows are written. */
export const at = (seconds: number): string => new Date(T0 + seconds * 1000).toISOString();

export const sampleRule = (): Rule =>
  ruleSchema.parse({
    name: 'staging',
    source: { registry: 'localhost:5100', repositories: ['samples/**'] },
    destination: { reference: 'localhost:5101/staging/{repository}:{tag}' },
  });

export function samplePromotion(changes: Partial<PromotionRow> = {}): PromotionRow {
  return {
    id: randomUUID(),
    rule: 'staging',
    source: { registry: 'localhost:5100', repository: 'samples/app', tag: 'v1' },
    destination: 'localhost:5101/staging/samples/app:v1',
    generation: 1,
    incrementedAt: at(0),
    observedGeneration: 1,
    state: 'working',
    runOpen: false,
    runBegun: false,
    failures: 0,
    ...changes,
  };
}

export function sampleRun(seconds: number, changes: Partial<RunRow> = {}): RunRow {
  const id = newRunId(T0 + seconds * 1000);
  const { source, destination } = samplePromotion();
  return {
    id,
    input: { kind: 'promotion', runId: id, promotionId: 'p', rule: sampleRule(), source, destination },
    state: 'pending',
    openedAt: at(seconds),
    ...changes,
  };
}

export function sampleStep(runId: string, step: string, seconds: number): StepProgress {
  return { runId, step, state: 'working', text: `${step} works`, startedAt: at(seconds), updatedAt: at(seconds) };
}

export function sampleDigest(): StoredDigest {
  const hex = randomUUID().replaceAll('-', '').padEnd(64, '0');
  return { registry: 'localhost:5100', repository: 'samples/app', digest: `sha256:${hex}` };
}
