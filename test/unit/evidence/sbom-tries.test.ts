import { beforeEach, expect, test } from '@jest/globals';
import { TransportError, type Descriptor } from '../../../src/oci/index.js';
import type { SbomGenerator } from '../../../src/sbom/index.js';
import { attachSbomStep } from '../../../src/evidence/attach-sbom.js';
import type { StepCall } from '../../../src/ports/step.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { REGISTRY, SOURCE, newCall, newWorld, type World } from '../../support/world.js';
import { SBOM_TRIES } from '../../../src/evidence/sbom-tries.js';

// An SBOM that begins anew with each try, and comes to no end.

let world: World;
let image: Descriptor;
let generate: SbomGenerator['generate'];
let begun: number;

beforeEach(async () => {
  world = newWorld();
  image = await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
  begun = 0;
  const { sbom } = world;
  generate = (input) => sbom.generate(input);
  world.sbom = {
    generate: (input) => {
      begun += 1;
      return generate(input);
    },
  };
});

async function attach(call: StepCall = newCall(), runId = 'r1', of = image): Promise<unknown> {
  const subject = { ...of, label: 'image', sbom: true };
  return attachSbomStep(world, { runId, rule: rule(), source: SOURCE, image: subject }, call).catch(
    (error: unknown) => error,
  );
}
/** Its time is over while a layer is read. */
async function tooSlow(runId = 'r1', of = image): Promise<unknown> {
  const time = new AbortController();
  generate = ({ signal }) => {
    time.abort(new DOMException('over', 'TimeoutError'));
    return Promise.reject(signal.reason as DOMException);
  };
  return attach(newCall(time.signal), runId, of);
}
/** Whoever does it dies, and writes nothing any more. */
async function dies(): Promise<void> {
  const put = world.documents.put.bind(world.documents);
  generate = () => {
    world.documents.put = () => Promise.reject(new TypeError('the process died'));
    return Promise.reject(new TypeError('the process died'));
  };
  await attach();
  world.documents.put = put;
}
/** Its process does nothing for so long that another gets the lease. */
async function losesItsLease(): Promise<unknown> {
  generate = ({ signal }) => {
    for (const name of world.lease.held) world.lease.lose(name);
    return Promise.reject(signal.reason as Error);
  };
  return attach();
}
const UNFINISHED = { code: 'SBOM_UNFINISHED', transient: false, remedy: expect.stringContaining('sbom') };

test.each([
  ['its time is over', () => tooSlow()],
  ['the process dies', dies],
  ['its lease is lost', losesItsLease],
])('%s each time: so often and no more, in this run, for this image', async (_why, fails) => {
  for (let tries = 0; tries < SBOM_TRIES; tries += 1) await fails();
  expect(begun).toBe(SBOM_TRIES);
  expect(await attach()).toMatchObject(UNFINISHED);
  expect(begun).toBe(SBOM_TRIES);
  const other = await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { content: 'other' });
  await tooSlow('r1', other);
  await tooSlow('r2');
  expect(begun).toBe(SBOM_TRIES + 2);
});

test('it says that it begins anew, and counts no more when it has come to its end', async () => {
  const { sbom } = newWorld();
  await tooSlow();
  generate = (input) => sbom.generate(input);
  const call = newCall();
  expect(await attach(call)).toMatchObject({ done: { made: true } });
  expect(call.texts).toContain(`try 2 of ${SBOM_TRIES}: what came before has come to no end`);
  expect(await attach()).toMatchObject({ done: { made: false } });
});

test('trouble on the way is waited for as long as the run does, also when it is to be signed', async () => {
  generate = () => Promise.reject(new TransportError('CONNECT_FAILED', 'down'));
  for (let tries = 0; tries < 3 * SBOM_TRIES; tries += 1)
    expect(await attach()).toMatchObject({ code: 'CONNECT_FAILED' });
  const { sbom } = newWorld();
  generate = (input) => sbom.generate(input);
  const { signer } = world;
  world.signer = signer && { ...signer, sign: () => Promise.reject(new TransportError('CONNECT_FAILED', 'no key')) };
  for (let tries = 0; tries < 3 * SBOM_TRIES; tries += 1)
    expect(await attach()).toMatchObject({ code: 'CONNECT_FAILED' });
  world.signer = signer;
  expect(await attach()).toMatchObject({ done: { made: true } });
});
