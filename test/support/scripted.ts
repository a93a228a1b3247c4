import * as contracts from './contracts.js';
import type { Digest } from '../../src/oci/index.js';
import type { InputOf, ResultOf } from '../../src/rows/step-contract.js';
import type { ActivityReply } from '../../src/functions/durable-driver.js';
import type { Activity } from './replay.js';

type Contracts = {
  [
    K in keyof typeof contracts as (typeof contracts)[K] extends contracts.StepContract<infer _I, infer _R> ? K : never
  ]: (typeof contracts)[K];
};
type Steps = { [K in keyof Contracts as K extends `${infer Name}Contract` ? Name : never]: Contracts[K] };
/** What a step answers in a test: its result in `done`, another reply, or a throw. */
export type Answers = {
  [K in keyof Steps]?: (
    input: InputOf<Steps[K]>,
    call: number,
  ) => { done: ResultOf<Steps[K]> } | Exclude<ActivityReply, { done: unknown }>;
};

const BY_NAME = new Map(
  Object.values(contracts)
    .filter((value) => typeof value === 'object' && 'input' in value && 'result' in value)
    .map((contract) => [contract.name, contract] as const),
);

/** Activities of a script: each parses its input by its contract, as the real ones do. */
export function activities(answers: Answers): Record<string, Activity> {
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [
      name,
      (input: unknown, call: number): unknown => {
        BY_NAME.get(name)?.input.parse(input);
        return (answer as (input: unknown, call: number) => unknown)(input, call);
      },
    ]),
  );
}

const digest = (text: string): Digest => `sha256:${text.padStart(64, '0')}` as Digest;
const manifest = (text: string) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digest(text),
  size: 500,
});
export const SOURCE = { registry: 'r.azurecr.io', repository: 'samples/app', tag: 'v1' };
export const DESTINATION = 'r.azurecr.io/staging/samples/app:v1';
export const KEY = { promotionId: 'p1', runId: 'r1' };
export const ROOT = manifest('1');
type Observed = ResultOf<typeof contracts.observeContract>;
export const OBSERVED: Extract<Observed, { state: 'found' }> = {
  state: 'found',
  generation: 1,
  root: ROOT,
  differences: [`${DESTINATION} is not there`],
  mode: 'enforce',
  gate: 'passed',
  attachTo: 'source',
};
/** The same for a rule that asks for evidence of others. */
export const GATED: typeof OBSERVED = { ...OBSERVED, gate: 'closed' };

/** A promotion in which all goes well; `closed` is what the run was closed with. */
export function promotion(changes: Answers = {}): {
  activities: Record<string, Activity>;
  closed: InputOf<typeof contracts.closeRunContract>[];
} {
  const closed: InputOf<typeof contracts.closeRunContract>[] = [];
  const answers: Answers = {
    observe: () => ({ done: OBSERVED }),
    attach: () => ({ done: { did: ['attached SBOM', 'attached signature'] } }),
    copy: () => ({ done: { state: 'copied', root: ROOT, copied: 4, existed: 1, mounted: 5, bytes: 600 } }),
    verifyArrival: () => ({ done: { repaired: 0 } }),
    tagDestination: () => ({ done: { state: 'tagged', reference: DESTINATION } }),
    closeRun: (input) => {
      closed.push(input);
      return { done: 'closed' };
    },
    ...changes,
  };
  return { activities: activities(answers), closed };
}
