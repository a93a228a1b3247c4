import { beforeEach, describe, expect, test } from '@jest/globals';
import { packArtifact, pushPacked, type Descriptor } from '../../../src/oci/index.js';
import { blobOf, newJobWorld, perform, pushSample, valueOf, again } from '../../support/job-world.js';
import { REGISTRY, runOf, type World } from '../../support/world.js';

const APP = `${REGISTRY}/samples/app`;
let world: World;
let root: Descriptor;

beforeEach(async () => {
  world = newJobWorld();
  root = await pushSample(world, 'samples/app', 'v1');
});

describe('an operation that only reads', () => {
  test('resolves a tag', async () => {
    const run = await perform(world, { operation: 'resolve', reference: `${APP}:v1` });
    expect(run.output).toEqual({
      kind: 'inline',
      value: { reference: `${APP}@${root.digest}`, mediaType: root.mediaType, digest: root.digest, size: root.size },
    });
    expect(await again(world)).toEqual({ done: { digest: root.digest } });
  });

  test('discovers referrers in each format', async () => {
    const packed = packArtifact({
      artifactType: 'application/example',
      layers: [],
      subject: root,
      annotations: { a: 'b' },
    });
    await pushPacked(world.registries.repository(REGISTRY, 'samples/app'), packed, {});
    const job = { operation: 'discover', reference: `${APP}:v1` };
    expect(await valueOf(world, job, 'json')).toMatchObject({
      digest: root.digest,
      referrers: [{ digest: packed.descriptor.digest, artifactType: 'application/example', referrers: [] }],
    });
    expect(await valueOf(world, { ...job, artifactType: 'other/type' }, 'none')).toMatchObject({ referrers: [] });
    const tree = await valueOf(world, { ...job, format: 'tree' }, 'tree');
    expect(tree).toContain(`${APP}@${root.digest}\n└── application/example`);
    expect(await valueOf(world, { ...job, format: 'table' }, 'table')).toContain('Discovered 1 artifact');
  });

  test('lists tags after a tag, without digest tags', async () => {
    await pushSample(world, 'samples/app', 'v2');
    await pushSample(world, 'samples/app', `sha256-${'a'.repeat(64)}`);
    const job = { operation: 'tags', reference: APP };
    expect(await valueOf(world, { ...job, excludeDigestTags: true }, 'a')).toEqual({ tags: ['v1', 'v2'] });
    expect(await valueOf(world, { ...job, last: 'v1' }, 'b')).toEqual({ tags: ['v2'] });
  });

  test('lists only repositories in its scope', async () => {
    await pushSample(world, 'private/app', 'v1');
    const job = { operation: 'repos', registry: REGISTRY };
    expect(await valueOf(world, job, 'a')).toEqual({
      registry: REGISTRY,
      repositories: ['private/app', 'samples/app'],
    });
    expect(await valueOf(world, { ...job, namespace: 'samples' }, 'b')).toMatchObject({
      repositories: ['samples/app'],
    });
    world.jobPolicy = { ...world.jobPolicy, scopes: { repos: ['samples/**'] } };
    expect(await valueOf(world, job, 'c')).toMatchObject({ repositories: ['samples/app'] });
  });

  test('fetches a manifest, its descriptor and its config', async () => {
    const job = { operation: 'manifest.fetch', reference: `${APP}:v1` };
    expect(await valueOf(world, job, 'a')).toMatchObject({
      digest: root.digest,
      content: { artifactType: 'doc/example', layers: [{ mediaType: 'text/plain' }] },
    });
    expect(await valueOf(world, { ...job, descriptor: true }, 'b')).not.toHaveProperty('content');
    expect(await valueOf(world, { operation: 'manifest.fetchConfig', reference: `${APP}:v1` }, 'c')).toMatchObject({
      mediaType: 'application/vnd.oci.empty.v1+json',
      content: {},
    });
  });

  test('fetches a small blob into the output, and a large or named one into the container', async () => {
    const small = blobOf('hello');
    const job = { operation: 'blob.fetch', reference: `${APP}@${small.digest}` };
    expect(await valueOf(world, job, 'a')).toMatchObject({ size: 5, base64: small.bytes.toString('base64') });
    expect(await valueOf(world, { ...job, output: 'x/y' }, 'b')).toMatchObject({ size: 5, blob: 'x/y' });
    expect(world.files.kept.get('target/x/y')).toEqual(small.bytes);
    const large = blobOf('x'.repeat(100_000));
    world.registries.repository(REGISTRY, 'samples/app').blobs.set(large.digest, large.bytes);
    const blob = `c/${large.digest.replace(':', '-')}`;
    expect(await valueOf(world, { ...job, reference: `${APP}@${large.digest}` }, 'c')).toMatchObject({ blob });
    expect(world.files.kept.get(`target/${blob}`)).toEqual(large.bytes);
  });
});

test('an output of more than 30 KB is a document that the run names', async () => {
  for (let tag = 0; tag < 1000; tag += 1) {
    world.registries.repository(REGISTRY, 'samples/app').tags.set(`${'t'.repeat(40)}${tag}`, root.digest);
  }
  const { output } = await perform(world, { operation: 'tags', reference: APP });
  if (output?.kind !== 'document') throw new Error('no document');
  const bytes = world.documents.kept.get(`documents/${output.name}`) ?? new Uint8Array();
  expect(bytes).toHaveLength(output.sizeBytes);
  expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({ tags: expect.any(Array) });
  expect(JSON.stringify(await runOf(world, 'r1')).length).toBeLessThan(1000);
});

test('a missing tag fails with the registry’s code, and leaves no output', async () => {
  await expect(perform(world, { operation: 'resolve', reference: `${APP}:v9` })).rejects.toMatchObject({
    code: 'MANIFEST_UNKNOWN',
  });
  expect(await runOf(world, 'r1')).not.toHaveProperty('output');
});

test('an operation checks the settings again, because they may have changed since the job began', async () => {
  world.jobPolicy = { ...world.jobPolicy, operations: [] };
  await expect(perform(world, { operation: 'resolve', reference: `${APP}:v1` })).rejects.toMatchObject({
    code: 'JOB_OPERATION_FORBIDDEN',
  });
});
