import { beforeEach, describe, expect, test } from '@jest/globals';
import { InputError, parseManifest, type Digest, type Descriptor } from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { attachSbomStep, type AttachedSbom } from '../../../src/evidence/our-sbom.js';
import { attachSignatureStep } from '../../../src/evidence/our-signature.js';
import type { Ports } from '../../../src/ports/ports.js';
import type { StepReply } from '../../../src/ports/step.js';
import { subjectLease } from '../../../src/transfer/registry-access.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { breakEverywhere } from '../../support/breaking.js';
import { NOTARY_SIGNATURE, countReferrers, pushArtifact, pushImage, pushSignature } from '../../support/images.js';
import { REGISTRY, SOURCE, newCall, newSigner, newWorld, refusal, type World } from '../../support/world.js';

let world: World;
let source: MemoryRepository;
let image: Descriptor;

async function prepared(): Promise<{ world: World; source: MemoryRepository; image: Descriptor }> {
  const made = newWorld();
  const repository = made.registries.repository(REGISTRY, SOURCE.repository);
  return { world: made, source: repository, image: await pushImage(repository, { tag: SOURCE.tag }) };
}

beforeEach(async () => {
  ({ world, source, image } = await prepared());
});

const owner = { promotionId: 'p1', runId: 'r1' };
function done<T>(reply: StepReply<T>): T {
  if (!('done' in reply)) throw new Error('it asks for later');
  return reply.done;
}
/** The image's only SBOM. */
function onlySbom({ sboms }: { sboms: AttachedSbom[] }): { sbom: Digest; signature?: Digest; made: boolean } {
  const [first, ...others] = sboms;
  if (first === undefined || others.length > 0) throw new Error(`${sboms.length} SBOMs`);
  const { digest: sbom, signature, made } = first;
  return { sbom, ...(signature !== undefined && { signature }), made };
}
async function attachSbom(ports: Ports, subject = image, which = rule()) {
  const input = { ...owner, rule: which, source: SOURCE, image: { ...subject, label: 'image', sbom: true } };
  return onlySbom(done(await attachSbomStep(ports, input, newCall())));
}
async function sign(ports: Ports, subject = image) {
  return done(await attachSignatureStep(ports, { ...owner, source: SOURCE, subject }, newCall()));
}
const sboms = (of = image, at = source): Promise<number> => countReferrers(at, of, SBOM_MEDIA_TYPES.cyclonedx);
const signatures = (of = image, at = source): Promise<number> => countReferrers(at, of, NOTARY_SIGNATURE);
const isOurs = async (digest: string): Promise<boolean> =>
  (await world.store.attachedBy({ registry: REGISTRY, repository: SOURCE.repository, digest })) !== undefined;

async function theSbom(at = source, of = image): Promise<Descriptor> {
  const [sbom] = await at.listReferrers(of.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
  if (sbom === undefined) throw new Error('no SBOM');
  return sbom;
}

describe('an SBOM', () => {
  test('is made, attached and signed, and recognized as the app’s own', async () => {
    const { sbom, made } = await attachSbom(world);
    expect(made).toBe(true);
    const { bytes, descriptor } = await source.fetchManifest(sbom);
    const manifest = parseManifest(bytes, descriptor.mediaType, 'sbom');
    if (manifest.kind !== 'image' || manifest.layers[0] === undefined) throw new Error('no layer');
    expect(manifest.subject).toEqual({ mediaType: image.mediaType, digest: image.digest, size: image.size });
    const document = JSON.parse(Buffer.from(source.blobs.get(manifest.layers[0].digest) ?? '').toString()) as object;
    expect(document).toMatchObject({ bomFormat: 'CycloneDX', components: [{ purl: 'pkg:npm/left@1.0.0' }] });
    expect(await signatures(await theSbom())).toBe(1);
    expect(await isOurs(sbom)).toBe(true);
  });

  test('is attached once if the step is repeated', async () => {
    const first = await attachSbom(world);
    expect(await attachSbom(world)).toEqual({ ...first, made: false });
    expect(await sboms()).toBe(1);
    expect(await signatures(await theSbom())).toBe(1);
  });

  test('of a rule that signs nothing is attached unsigned, and found again by its record', async () => {
    const unsigned = rule({ sign: [] });
    world.signer = undefined;
    const first = await attachSbom(world, image, unsigned);
    expect(await signatures(await theSbom())).toBe(0);
    expect(await attachSbom(world, image, unsigned)).toEqual({ sbom: first.sbom, made: false });
  });

  test('by others is left alone and never signed', async () => {
    const theirs = await pushArtifact(source, SBOM_MEDIA_TYPES.cyclonedx, {
      subject: image,
      text: '{"components":[]}',
    });
    const { sbom, made } = await attachSbom(world);
    expect(made).toBe(true);
    expect(sbom).not.toBe(theirs.digest);
    expect(await sboms()).toBe(2);
    expect(await signatures(theirs)).toBe(0);
  });

  test('with a signature by others does not count as the app’s own', async () => {
    const theirs = await pushArtifact(source, SBOM_MEDIA_TYPES.cyclonedx, { subject: image, text: '{}' });
    await pushSignature(source, theirs, newSigner('somebody').signer);
    expect((await attachSbom(world)).sbom).not.toBe(theirs.digest);
    expect(await signatures(theirs)).toBe(1);
  });

  test('is refused for a manifest that is no image', async () => {
    const chart = await pushArtifact(source, 'application/x-chart', { tag: 'chart' });
    const odd = { ...chart, mediaType: 'application/vnd.oci.image.index.v1+json' };
    await expect(attachSbom(world, odd)).rejects.toBeInstanceOf(InputError);
  });
});

describe('a signature', () => {
  test('is attached once if the step is repeated, and recognized as the app’s own', async () => {
    const first = await sign(world);
    expect(first.made).toBe(true);
    expect(await sign(world)).toEqual({ signature: first.signature, made: false });
    expect(await signatures()).toBe(1);
    expect(await isOurs(first.signature)).toBe(true);
  });

  test('by others does not count as the app’s own', async () => {
    await pushSignature(source, image, newSigner('somebody').signer);
    expect((await sign(world)).made).toBe(true);
    expect(await signatures()).toBe(2);
  });

  test('that is missing in the registry is pushed again with the recorded bytes', async () => {
    const first = await sign(world);
    await source.deleteManifest(first.signature);
    world.nowMs += 60_000;
    expect(await sign(world)).toEqual({ signature: first.signature, made: true });
  });

  test('of one digest is the same in two repositories', async () => {
    const other = world.registries.repository(REGISTRY, 'samples/other');
    await pushImage(other, { tag: 'v1' });
    const first = await sign(world);
    const there = { ...owner, source: { registry: REGISTRY, repository: 'samples/other' }, subject: image };
    expect(done(await attachSignatureStep(world, there, newCall())).signature).toBe(first.signature);
  });

  test('is made anew by another key', async () => {
    const first = await sign(world);
    world.signer = newSigner('next').signer;
    expect((await sign(world)).signature).not.toBe(first.signature);
  });

  test('without a key fails with a remedy that names the setting', async () => {
    world.signer = undefined;
    await expect(sign(world)).rejects.toMatchObject({
      code: 'SIGNING_KEY_MISSING',
      transient: false,
      remedy: expect.stringContaining('SIGNING_KEY'),
    });
  });
});

describe('the lease', () => {
  const name = (): string => subjectLease(REGISTRY, SOURCE.repository, image.digest);

  test('that another process holds delays the step, which does nothing', async () => {
    const held = await world.lease.acquire(name());
    const input = { ...owner, source: SOURCE, subject: image };
    expect(await attachSignatureStep(world, input, newCall())).toEqual({ retryAfterMs: expect.any(Number) });
    expect(await signatures()).toBe(0);
    await held?.release();
    expect((await sign(world)).made).toBe(true);
    expect(world.lease.held.size).toBe(0);
  });

  test('is released if the work fails', async () => {
    world.signer = undefined;
    await expect(sign(world)).rejects.toThrow();
    expect(world.lease.held.size).toBe(0);
  });

  test('that is lost stops the work', async () => {
    source.fault = async ({ method }) => {
      if (method === 'pushBlob') world.lease.lose(name());
    };
    await expect(sign(world)).rejects.toThrow();
    expect(await signatures()).toBe(0);
  });

  test('that was lost by a frozen holder leads to the same SBOM and signature', async () => {
    // A lease that fences nothing, as a paused holder has it.
    const both: Ports = {
      ...world,
      lease: {
        acquire: async () => ({
          signal: new AbortController().signal,
          heldUntilMs: Date.now() + 30_000,
          release: async () => {},
        }),
      },
    };
    await Promise.all([attachSbom(both), attachSbom(both), sign(both), sign(both)]);
    expect(await sboms()).toBe(1);
    expect(await signatures()).toBe(1);
    expect(await signatures(await theSbom())).toBe(1);
  });
});

describe('after a crash at any call', () => {
  test('the SBOM step leaves one SBOM with one signature', async () => {
    const calls = await breakEverywhere(
      async () => {
        const { world: fresh, ...given } = await prepared();
        return { world: fresh, given };
      },
      (ports, given) => attachSbom(ports, given.image),
      async (_world, given, where) => {
        const found = [
          await sboms(given.image, given.source),
          await signatures(await theSbom(given.source, given.image), given.source),
        ];
        expect([where, ...found]).toEqual([where, 1, 1]);
      },
    );
    expect(calls).toBeGreaterThan(12);
  });

  test('the signature step leaves one signature', async () => {
    const calls = await breakEverywhere(
      async () => {
        const { world: fresh, ...given } = await prepared();
        return { world: fresh, given };
      },
      (ports, given) => sign(ports, given.image),
      async (_world, given, where) => {
        expect([where, await signatures(given.image, given.source)]).toEqual([where, 1]);
      },
    );
    expect(calls).toBeGreaterThan(7);
  });

  test('every attachment in the registry is recognized as the app’s own at every moment', async () => {
    const marked: boolean[] = [];
    const push = source.pushManifest.bind(source);
    source.pushManifest = async (bytes, mediaType, options) => {
      const pushed = await push(bytes, mediaType, options);
      marked.push(await isOurs(pushed.digest));
      return pushed;
    };
    await attachSbom(world);
    await sign(world);
    expect(marked).toEqual([true, true, true]);
  });
});

describe('a rule that attaches at the destination', () => {
  const at = { registry: REGISTRY, repository: 'staging/samples/app' };
  let destination: MemoryRepository;

  beforeEach(async () => {
    destination = world.registries.repository(at.registry, at.repository);
    await pushImage(destination);
  });

  async function attachAll(): Promise<void> {
    const input = { ...owner, rule: rule({ attachTo: 'destination' }), source: SOURCE, at };
    await attachSbomStep(world, { ...input, image: { ...image, label: 'image', sbom: true } }, newCall());
    await attachSignatureStep(world, { ...owner, source: SOURCE, at, subject: image }, newCall());
  }

  test('does not change the source, and reads nothing there for what exists already', async () => {
    source.fault = ({ method }) => {
      if (method.startsWith('push')) throw refusal(403, 'DENIED');
    };
    await attachAll();
    await attachAll();
    expect([await sboms(image, destination), await signatures(image, destination)]).toEqual([1, 1]);
    expect(await signatures(await theSbom(destination), destination)).toBe(1);
    expect([await sboms(), await signatures()]).toEqual([0, 0]);
  });

  test('pushes the recorded signature of a subject in every repository', async () => {
    const { signature } = await sign(world);
    await attachAll();
    const [there] = await destination.listReferrers(image.digest, { artifactType: NOTARY_SIGNATURE });
    expect(there?.digest).toBe(signature);
  });

  test('is refused if the repository there is locked', async () => {
    destination.fault = ({ method }) => {
      if (method === 'pushBlob') throw refusal(405, 'REGISTRY_DISALLOWED_OPERATION', at.repository);
    };
    await expect(attachAll()).rejects.toMatchObject({ code: 'DESTINATION_LOCKED', transient: false });
  });
});

describe('a rule that attaches at the source after one at the destination', () => {
  const at = { registry: REGISTRY, repository: 'staging/samples/app' };

  test('attaches the same SBOM of the same image', async () => {
    const destination = world.registries.repository(at.registry, at.repository);
    await pushImage(destination);
    const input = { ...owner, rule: rule(), source: SOURCE, at, image: { ...image, label: 'image', sbom: true } };
    const there = onlySbom(done(await attachSbomStep(world, input, newCall())));
    expect((await attachSbom(world)).sbom).toBe(there.sbom);
  });
});

describe('a source that refuses writes', () => {
  test.each([
    [401, 'UNAUTHORIZED'],
    [403, 'DENIED'],
    [405, 'REGISTRY_DISALLOWED_OPERATION'],
  ])('%i: the remedy names the option', async (status, code) => {
    source.fault = ({ method }) => {
      if (method === 'pushBlob' || method === 'pushManifest') throw refusal(status, code);
    };
    for (const attach of [attachSbom, sign]) {
      await expect(attach(world)).rejects.toMatchObject({
        code: 'SOURCE_NOT_WRITABLE',
        transient: false,
        message: expect.stringContaining(code),
        remedy: expect.stringContaining('"attachTo": "destination"'),
      });
    }
    expect(await sboms()).toBe(0);
  });

  test('is not reported for a read that fails, or a registry that is busy', async () => {
    source.failNth('listReferrers', 1, refusal(429, 'TOOMANYREQUESTS'));
    await expect(sign(world)).rejects.toMatchObject({ code: 'TOOMANYREQUESTS', transient: true });
    source.failNth('pushManifest', 1, refusal(409, 'CONFLICT'));
    await expect(sign(world)).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
