import { beforeEach, describe, expect, test } from '@jest/globals';
import { digestOf, parseManifest, type Digest, type Descriptor } from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { verifyNotary } from '../../../src/signing/index.js';
import { attachSbomStep, type AttachedSbom } from '../../../src/evidence/our-sbom.js';
import { attachSignatureStep } from '../../../src/evidence/our-signature.js';
import type { StepReply } from '../../../src/ports/step.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { NOTARY_SIGNATURE, countReferrers, pushArtifact, pushImage, pushJunkSignatures } from '../../support/images.js';
import { REGISTRY, SOURCE, newCall, newSigner, newWorld, type World } from '../../support/world.js';

// What we take for our own SBOM and our own signature, and what we sign: anybody who may push tries to forge, spoil or hide it.

let world: World;
let source: MemoryRepository;
let image: Descriptor;

beforeEach(async () => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  image = await pushImage(source, { tag: SOURCE.tag });
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
async function attachSbom(of = image, which = rule()) {
  const input = { ...owner, rule: which, source: SOURCE, image: { ...of, label: 'image', sbom: true } };
  return onlySbom(done(await attachSbomStep(world, input, newCall())));
}
async function sign(subject: Descriptor = image) {
  return done(await attachSignatureStep(world, { ...owner, source: SOURCE, subject }, newCall()));
}
async function envelopeOf(signature: string): Promise<{ mediaType: string; envelope: Uint8Array }> {
  const { bytes, descriptor } = await source.fetchManifest(signature);
  const manifest = parseManifest(bytes, descriptor.mediaType, signature);
  const [layer] = manifest.kind === 'image' ? manifest.layers : [];
  const envelope = source.blobs.get(layer?.digest ?? '');
  if (layer === undefined || envelope === undefined) throw new Error('no envelope');
  return { mediaType: layer.mediaType, envelope };
}
async function metadataOf(signature: string, subject: Descriptor): Promise<unknown> {
  const root = world.signer?.certificates.at(-1);
  const trust = { certificates: root === undefined ? [] : [root], identities: ['*'] };
  return (await verifyNotary({ ...(await envelopeOf(signature)), subject, trust, now: world.now() })).metadata;
}
async function signatureOf(subject: Descriptor): Promise<string> {
  const [only, ...others] = await source.listReferrers(subject.digest, { artifactType: NOTARY_SIGNATURE });
  if (only === undefined || others.length > 0) throw new Error(`${others.length + 1} signatures`);
  return only.digest;
}
const described = async (digest: string): Promise<Descriptor> => source.resolve(digest);
const records = (): string[] => [...world.documents.kept.keys()].filter((key) => key.includes('/signatures/'));

describe('an SBOM counts as the app’s own', () => {
  test('with a signature that names its image; the signature of an image names nothing', async () => {
    const { sbom } = await attachSbom();
    const subject = await described(sbom);
    expect(await metadataOf(await signatureOf(subject), subject)).toEqual({
      'io.acr-promoter.role': 'sbom',
      'io.acr-promoter.image': image.digest,
    });
    const { signature } = await sign();
    expect(await metadataOf(signature, image)).toEqual({});
  });

  test('but not a forgery that the app signed as a child of an index', async () => {
    const forged = await pushArtifact(source, SBOM_MEDIA_TYPES.cyclonedx, {
      subject: image,
      text: '{"components":[]}',
    });
    await sign(forged);
    const { sbom, made } = await attachSbom();
    expect({ isForged: sbom === forged.digest, made }).toEqual({ isForged: false, made: true });
    expect(await attachSbom()).toMatchObject({ sbom, made: false });
  });

  test('but not as the SBOM of another image that a lying registry lists', async () => {
    const other = await pushImage(source, { content: 'other' });
    const { sbom: theirs } = await attachSbom(other);
    const entry = { ...(await described(theirs)), artifactType: SBOM_MEDIA_TYPES.cyclonedx };
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) => [
      ...(digest === image.digest && options?.artifactType !== NOTARY_SIGNATURE ? [entry] : []),
      ...(await list(digest, options)),
    ];
    expect((await attachSbom()).sbom).not.toBe(theirs);
    expect((await attachSbom(image, rule({ sign: [] }))).sbom).not.toBe(theirs);
  });

  test('by its record for this image if the rule signs nothing', async () => {
    const unsigned = rule({ sign: [] });
    await pushArtifact(source, SBOM_MEDIA_TYPES.cyclonedx, { subject: image, text: '{"components":[]}' });
    const { sbom, made } = await attachSbom(image, unsigned);
    expect(made).toBe(true);
    expect(await attachSbom(image, unsigned)).toEqual({ sbom, made: false });
  });

  test('with any size in a list', async () => {
    const { sbom } = await attachSbom();
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) =>
      (await list(digest, options)).map((entry) => ({ ...entry, size: entry.size + 1 }));
    expect(await attachSbom()).toMatchObject({ sbom, made: false });
  });
});

describe('a signature', () => {
  const INDEX = 'application/vnd.oci.image.index.v1+json';

  test('is made only of fetched content; a wrong type or size is not signed and not recorded', async () => {
    for (const lie of [{ mediaType: INDEX }, { size: image.size + 1 }]) {
      await expect(sign({ ...image, ...lie })).rejects.toMatchObject({ code: 'DESCRIPTOR_MISMATCH' });
    }
    expect(records()).toEqual([]);
    expect(await countReferrers(source, image, NOTARY_SIGNATURE)).toBe(0);
  });

  test('of a wrong descriptor in one repository does not count in another', async () => {
    // The same bytes, served under another type.
    const elsewhere = world.registries.repository(REGISTRY, 'attacker/app');
    await pushImage(elsewhere);
    elsewhere.resolve = async () => ({ ...image, mediaType: INDEX });
    const there = { registry: REGISTRY, repository: 'attacker/app' };
    const lied = done(
      await attachSignatureStep(world, { ...owner, source: there, subject: { ...image, mediaType: INDEX } }, newCall()),
    );
    const { signature } = await sign();
    expect(signature).not.toBe(lied.signature);
    await expect(metadataOf(signature, image)).resolves.toEqual({});
    expect(await sign()).toEqual({ signature, made: false });
  });
});

describe('a recorded signature', () => {
  test.each<[string, (text: string) => string]>([
    ['no JSON', () => 'spoilt'],
    ['another shape', () => '{"envelope":7}'],
    ['bytes that are no envelope', (text) => text.replace(/"envelope":"[^"]*"/, '"envelope":"AAAA"')],
    ['another signer’s thumbprints', (text) => text.replace(/[0-9a-f]{64}/, 'e'.repeat(64))],
    ['a time that is none', (text) => text.replace(/"created":"[^"]*"/, '"created":"never"')],
  ])('that is spoilt (%s) is replaced, and what is pushed verifies', async (_what, spoil) => {
    const first = await sign();
    const [key = ''] = records();
    const name = key.slice('documents/'.length);
    const text = Buffer.from(world.documents.kept.get(key) ?? '').toString();
    expect(spoil(text)).not.toBe(text);
    await world.documents.put('documents', name, Buffer.from(spoil(text)));
    await source.deleteManifest(first.signature);
    const second = await sign();
    expect(second.made).toBe(true);
    await expect(metadataOf(second.signature, image)).resolves.toEqual({});
    expect(records()).toEqual([key]);
    expect(await sign()).toEqual({ signature: second.signature, made: false });
  });

  test('of an expired certificate is not pushed again', async () => {
    const first = await sign();
    await source.deleteManifest(first.signature);
    world.nowMs += 400 * 24 * 3_600_000;
    await expect(sign()).rejects.toMatchObject({ code: 'SIGNING_CERTIFICATE_EXPIRED' });
    world.signer = newSigner('renewed', new Date(world.nowMs)).signer;
    expect((await sign()).signature).not.toBe(first.signature);
  });

  test('that is damaged is replaced by one of two writers, and both push the same', async () => {
    await sign();
    const [key = ''] = records();
    await world.documents.put('documents', key.slice('documents/'.length), Buffer.from('spoilt'));
    for (const digest of source.manifests.keys()) if (digest !== image.digest) source.manifests.delete(digest);
    const free = { signal: new AbortController().signal, heldUntilMs: Infinity, release: async () => undefined };
    world.lease = { ...world.lease, acquire: async () => free };
    const [one, two] = await Promise.all([sign(), sign()]);
    expect(one?.signature).toBe(two?.signature);
    expect(await countReferrers(source, image, NOTARY_SIGNATURE)).toBe(1);
  });
});

describe('useless attachments', () => {
  test('with the app’s thumbprints, 300 of them, cause no second signature', async () => {
    await pushJunkSignatures(source, image, { count: 300, like: world.signer });
    source.calls.length = 0;
    const first = await sign();
    expect(first.made).toBe(true);
    // A bounded number is read while none is recorded.
    expect(source.count('fetchManifest')).toBe(100);
    source.calls.length = 0;
    expect(await sign()).toEqual({ signature: first.signature, made: false });
    expect([source.count('fetchManifest'), source.count('openBlob')]).toEqual([0, 0]);
  });

  test('with useless signatures, 300 SBOMs of them, cause no second SBOM', async () => {
    const first = await attachSbom();
    const junk: Descriptor[] = [];
    for (let number = 0; number < 300; number += 1)
      junk.push(await pushArtifact(source, SBOM_MEDIA_TYPES.cyclonedx, { subject: image, text: `junk ${number}` }));
    const list = source.listReferrers.bind(source);
    // They come first, as far as the list goes.
    source.listReferrers = async (digest, options) => (await list(digest, options)).toReversed();
    await pushJunkSignatures(source, await described(first.sbom), { count: 300, like: world.signer });
    source.calls.length = 0;
    expect(await attachSbom()).toEqual({ ...first, made: false });
    expect(source.calls.length).toBeLessThan(5);
  });

  test('include a listed signature that is missing, which is pushed again', async () => {
    const { signature } = await sign();
    const entry = (await source.listReferrers(image.digest)).find(({ digest }) => digest === signature);
    await source.deleteManifest(signature);
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) =>
      digest === image.digest && entry !== undefined ? [entry] : list(digest, options);
    expect(await sign()).toEqual({ signature, made: true });
    expect(digestOf(source.manifests.get(signature)?.bytes ?? new Uint8Array())).toBe(signature);
  });
});

describe('a list with missing entries', () => {
  /** As the tag schema allows: anybody who may push writes the list. */
  function lie(to: MemoryRepository, subject: Descriptor, entry: Descriptor): void {
    const list = to.listReferrers.bind(to);
    to.listReferrers = async (digest, options) => {
      const listed = await list(digest, options);
      const isNew = digest === subject.digest && !listed.some((each) => each.digest === entry.digest);
      return isNew ? [...listed, entry] : listed;
    };
  }
  const isThere = (digest: string): boolean => source.manifests.has(digest);
  /** What we will make of this image here: the same bytes each time. */
  async function foreseen(): Promise<Descriptor> {
    const elsewhere = newWorld();
    const repository = elsewhere.registries.repository(REGISTRY, SOURCE.repository);
    const same = await pushImage(repository, { tag: SOURCE.tag });
    const input = { ...owner, rule: rule(), source: SOURCE, image: { ...same, label: 'image', sbom: true } };
    const { sbom } = onlySbom(done(await attachSbomStep(elsewhere, input, newCall())));
    return { ...(await repository.resolve(sbom)), artifactType: SBOM_MEDIA_TYPES.cyclonedx };
  }

  test.each([
    ['signed', rule()],
    ['unsigned', rule({ sign: [] })],
  ])('does not prevent the push of the SBOM that an attacker foresaw (%s)', async (_how, which) => {
    const sbom = await foreseen();
    lie(source, image, sbom);
    expect(await attachSbom(image, which)).toMatchObject({ sbom: sbom.digest, made: true });
    expect(isThere(sbom.digest)).toBe(true);
  });

  test.each([
    ['signed', rule()],
    ['unsigned', rule({ sign: [] })],
  ])('does not prevent the push of the SBOM that another repository has (%s)', async (_how, which) => {
    const other = world.registries.repository(REGISTRY, 'samples/other');
    const same = await pushImage(other, { tag: SOURCE.tag });
    expect(same.digest).toBe(image.digest);
    const input = {
      ...owner,
      rule: which,
      source: { ...SOURCE, repository: 'samples/other' },
      image: { ...same, label: 'image', sbom: true },
    };
    const { sbom } = onlySbom(done(await attachSbomStep(world, input, newCall())));
    lie(source, image, { ...(await other.resolve(sbom)), artifactType: SBOM_MEDIA_TYPES.cyclonedx });
    // A subject need not be there.
    for (const { digest } of await other.listReferrers((await other.resolve(sbom)).digest)) {
      const { bytes, descriptor } = await other.fetchManifest(digest);
      const manifest = parseManifest(bytes, descriptor.mediaType, digest);
      for (const blob of manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : []) {
        const content = other.blobs.get(blob.digest);
        if (content !== undefined) source.blobs.set(blob.digest, content);
      }
      await source.pushManifest(bytes, descriptor.mediaType);
    }
    const made = await attachSbom(image, which);
    expect(made.made).toBe(true);
    expect(isThere(made.sbom)).toBe(true);
  });
});
