import { beforeEach, expect, test } from '@jest/globals';
import { TransportError, type Descriptor } from '../../../src/oci/index.js';
import { attachSbomStep } from '../../../src/evidence/attach-sbom.js';
import { attachSignatureStep } from '../../../src/evidence/attach-signature.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { newCall, newWorld, REGISTRY, SOURCE, type World } from '../../support/world.js';
import { MOST_LOST_LEASES } from '../../../src/evidence/lost-leases.js';

// A signature whose process loses its lease each time that it signs.

let world: World;
let image: Descriptor;
let signed: number;
/** What the key does before it signs. */
let before: () => void;

beforeEach(async () => {
  world = newWorld();
  image = await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
  signed = 0;
  before = loseAll;
  const { signer } = world;
  if (signer === undefined) throw new Error('no signer');
  world.signer = {
    ...signer,
    sign: async (...given) => {
      signed += 1;
      before();
      return signer.sign(...given);
    },
  };
});

function loseAll(): void {
  for (const name of world.lease.held) world.lease.lose(name);
}

type Attach = (runId?: string, again?: boolean) => Promise<unknown>;

const sign: Attach = (runId = 'r1', again = true) =>
  attachSignatureStep(
    world,
    { runId, source: SOURCE, subject: image },
    { ...newCall(), waitedMs: again ? 1 : 0 },
  ).catch((error: unknown) => error);
const attachSbom: Attach = (runId = 'r1', again = true) =>
  attachSbomStep(
    world,
    { runId, rule: rule(), source: SOURCE, image: { ...image, label: 'image', sbom: true } },
    { ...newCall(), waitedMs: again ? 1 : 0 },
  ).catch((error: unknown) => error);

test.each<[string, Attach]>([
  ['an image', sign],
  ['an SBOM', attachSbom],
])(
  'a signature over %s that loses its lease each time is tried so often and no more, in this run',
  async (_, attach) => {
    expect(await attach('r1', false)).toBeInstanceOf(Error);
    for (let tries = 1; tries < MOST_LOST_LEASES; tries += 1) await attach();
    expect(signed).toBe(MOST_LOST_LEASES);
    const ended = await attach();
    expect(ended).toMatchObject({ code: 'SIGNATURE_UNFINISHED', transient: false, remedy: expect.any(String) });
    expect(signed).toBe(MOST_LOST_LEASES);
    before = () => {};
    expect(await attach('r2', false)).toMatchObject({ done: { made: true } });
  },
);

test('a lease that is lost now and then is no end', async () => {
  for (let tries = 0; tries < MOST_LOST_LEASES - 1; tries += 1) await sign();
  before = () => {};
  expect(await sign()).toMatchObject({ done: { made: true } });
});

test('trouble without a lost lease is waited for as long as the run does', async () => {
  before = () => {
    throw new TransportError('CONNECT_FAILED', 'no key');
  };
  for (let tries = 0; tries < 3 * MOST_LOST_LEASES; tries += 1) {
    expect(await sign()).toMatchObject({ code: 'CONNECT_FAILED' });
  }
});
