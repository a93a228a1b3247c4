import type { Digest } from '../../src/oci/index.js';
import * as contracts from './contracts.js';
import type { InputOf, ResultOf } from '../../src/rows/step-contract.js';
import type { ActivityReply } from '../../src/functions/orchestrations/step.js';
import { rule } from './rules.fixture.js';
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

export const digest = (text: string): Digest => `sha256:${text.padStart(64, '0')}` as Digest;
const manifest = (text: string) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digest(text),
  size: 500,
});
export const SOURCE = { registry: 'r.azurecr.io', repository: 'samples/app', tag: 'v1' };
const DESTINATION = 'r.azurecr.io/staging/samples/app:v1';
export const OWNER = { promotionId: 'p1', runId: 'r1' };
export const ROOT = manifest('1');
/** An index over an image and its attestation. */
export const IMAGES: contracts.Image[] = [
  { ...ROOT, label: 'index', sbom: false, why: 'an index: its images get one each' },
  { ...manifest('2'), label: 'linux/amd64', sbom: true },
  { ...manifest('3'), label: 'attestation', sbom: false, why: 'an attestation manifest, no image' },
];
export const OBSERVED: ResultOf<typeof contracts.observeContract> = {
  state: 'found',
  root: ROOT,
  images: IMAGES,
  differences: [`${DESTINATION} is not there`],
};
export const GATED = rule({ verify: { signatures: [{ format: 'notary', trustStore: 'x' }] } });

export function begun(which = rule()): { done: ResultOf<typeof contracts.beginRunContract> } {
  return { done: { owned: true, wanted: 1, rule: which, source: SOURCE, destination: DESTINATION } };
}

/** A promotion in which all goes well; `closed` is what the run was closed with. */
export function promotion(changes: Answers = {}): {
  activities: Record<string, Activity>;
  closed: InputOf<typeof contracts.closeRunContract>[];
} {
  const closed: InputOf<typeof contracts.closeRunContract>[] = [];
  const answers: Answers = {
    beginRun: () => begun(),
    observe: () => ({ done: OBSERVED }),
    attachSbom: () => ({ done: { sbom: digest('a'), made: true } }),
    attachSignature: ({ subject }) => ({
      done: { signature: digest(`b${subject.digest.slice(-1)}`), made: subject !== ROOT },
    }),
    planCopy: () => ({
      done: { state: 'planned', plan: 'plans/r1.json', root: ROOT, manifests: 4, blobs: 5, bytes: 600 },
    }),
    copyGraph: () => ({ done: { copied: 4, existed: 1, mounted: 5, bytes: 600 } }),
    copyPart: () => ({ done: { more: false, copied: 2, existed: 0, mounted: 1, bytes: 100 } }),
    verifyArrival: () => ({ done: { repaired: 0 } }),
    tagDestination: () => ({ done: 'tagged' }),
    closeRun: (input) => {
      closed.push(input);
      return { done: 'closed' };
    },
    ...changes,
  };
  return { activities: activities(answers), closed };
}
