import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signingFiles, type SigningFiles } from '../../local/start/signing-key.js';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { runOurs, type Ran } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';
import { writeImage, writeIndexWithProvenance } from '../support/stack/images.js';
import { discover, notationVerify, type Discovered } from '../support/stack/programs.js';

// sbom, sign, verify and promote at once, on this machine: seen by oras and notation.

const SBOM = 'application/vnd.cyclonedx+json';
const SIGNATURE = 'application/vnd.cncf.notary.signature';

describeWithPeers('local runs from the command line', ['oras', 'notation'], ([oras = '', notation = '']) => {
  let folder = '';
  let source: RunningRegistry;
  let staging: RunningRegistry;
  let ours: SigningFiles;
  let theirs: SigningFiles;
  let turn = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'at-once-'));
    source = await startRegistry({ dataDir: join(folder, 'source'), anonymous: true });
    staging = await startRegistry({ dataDir: join(folder, 'staging'), anonymous: true });
    [ours, theirs] = await Promise.all([signingFiles(join(folder, 'ours')), signingFiles(join(folder, 'theirs'))]);
  });
  afterAll(async () => {
    await Promise.all([source.close(), staging.close()]);
    await rm(folder, { recursive: true, force: true });
  });

  const run = (...argv: string[]): Promise<Ran> => runOurs(argv, { env: { HOME: folder, DOCKER_CONFIG: folder } });
  async function did(...argv: string[]): Promise<string> {
    const ran = await run(...argv);
    expect({ argv, code: ran.code, err: ran.err }).toEqual({ argv, code: 0, err: '' });
    return ran.out;
  }
  const json = async (...argv: string[]): Promise<unknown> => JSON.parse(await did(...argv, '--format', 'json'));
  const keyOf = ({ key, certificate }: SigningFiles): string[] => [
    '--signing-key',
    key,
    '--certificate-chain',
    certificate,
  ];
  const refers = ({ referrers = [] }: Discovered, type: string): Discovered[] =>
    referrers.filter(({ artifactType }) => artifactType === type);
  const digestIn = (out: string): string => /^Digest: (sha256:[a-f0-9]{64})$/m.exec(out)?.[1] ?? '';

  /** An image that no other test has, or an index with provenance. */
  async function push(kind: 'image' | 'index' = 'image'): Promise<{ name: string; reference: string; digest: string }> {
    turn += 1;
    const layout = join(folder, `layout-${turn}`);
    const digest =
      kind === 'image' ? await writeImage(layout, `image ${turn}`) : await writeIndexWithProvenance(layout);
    const name = `samples/app-${turn}`;
    const reference = `localhost:${source.port}/${name}:v1`;
    await did('copy', '--from-oci-layout', `${layout}@${digest}`, reference);
    return { name, reference, digest };
  }

  async function rules(...more: string[]): Promise<string> {
    const path = join(folder, 'rules.yaml');
    const lines = [
      'rules:',
      '  - name: staging',
      `    source: { registry: 'localhost:${source.port}', repositories: ['samples/**'], tags: ['v*'] }`,
      `    destination: { reference: 'localhost:${staging.port}/staging/{repository}:{tag}' }`,
      ...more.map((line) => `    ${line}`),
    ];
    await writeFile(path, lines.join('\n'));
    return path;
  }

  test('sbom attaches one signed SBOM to each image, however often it runs', async () => {
    const { reference, digest } = await push('index');
    const first = await did('sbom', '--attach', ...keyOf(ours), reference);
    expect(first).toMatch(/^Skipped {2}index: /m);
    expect(first.match(/^Attached linux\/(?:amd64|arm64): /gm)).toHaveLength(2);
    expect(digestIn(first)).toBe(digest);
    const { images } = (await json('sbom', '--attach', ...keyOf(ours), reference)) as {
      images: { digest: string; sbom?: string; made?: boolean }[];
    };
    expect(images.filter(({ made }) => made === false)).toHaveLength(2);
    for (const image of images.filter(({ sbom }) => sbom !== undefined)) {
      const at = `${reference.replace(':v1', '')}@${image.digest}`;
      const [sbom, ...others] = refers(await discover(oras, at, undefined), SBOM);
      expect(others).toEqual([]);
      expect(sbom?.digest).toBe(image.sbom);
      expect(refers(sbom ?? { digest: '' }, SIGNATURE)).toHaveLength(1);
      const verified = await notationVerify(
        notation,
        `${reference.replace(':v1', '')}@${image.sbom ?? ''}`,
        ours.certificate,
        undefined,
      );
      expect(verified).toMatchObject({ code: 0 });
    }
  });

  test('sbom without a key attaches one, and attaches none if it writes to standard output or a file', async () => {
    const { reference } = await push();
    const path = join(folder, 'bom.json');
    expect(await did('sbom', '-o', path, reference)).toBe(`Wrote ${path}: 1 npm\n`);
    const document = JSON.parse(await readFile(path, 'utf8')) as { components: { name: string }[] };
    expect(document.components.map(({ name }) => name)).toContain('left-pad');
    expect(await did('sbom', '-o', '-', reference)).toBe(await readFile(path, 'utf8'));
    expect(refers(await discover(oras, reference, undefined), SBOM)).toEqual([]);
    await did('sbom', '--attach', reference);
    expect(await did('sbom', '--attach', reference)).toContain('Exists   image: ');
    const listed = await discover(oras, reference, undefined);
    expect(refers(listed, SBOM)).toHaveLength(1);
    // What was written is what is attached.
    const pulled = join(folder, 'pulled');
    await did('pull', '-o', pulled, `${reference.replace(':v1', '')}@${refers(listed, SBOM)[0]?.digest ?? ''}`);
    expect(await readFile(join(pulled, 'sbom.cdx.json'), 'utf8')).toBe(await readFile(path, 'utf8'));
  });

  test('sbom -o of an index needs a platform', async () => {
    const { reference } = await push('index');
    const ran = await run('sbom', '-o', '-', reference);
    expect(ran).toMatchObject({ code: 1, out: '', err: expect.stringContaining('(IMAGE_AMBIGUOUS)') });
    expect(await did('sbom', '-o', '-', '--platform', 'linux/arm64', reference)).toContain('"CycloneDX"');
    const none = await run('sbom', '-o', '-', '--format', 'json', reference);
    expect(none.err).toContain('(OPTIONS_EXCLUSIVE)');
  });

  test('sign makes one signature that notation verifies, and verify prints who signed', async () => {
    const { reference, digest } = await push('index');
    expect(await did('sign', ...keyOf(ours), reference)).toMatch(/^Signed index sha256:/m);
    expect(await did('sign', ...keyOf(ours), reference)).toMatch(/^Exists index sha256:/m);
    expect(await notationVerify(notation, reference, ours.certificate, undefined)).toMatchObject({ code: 0 });
    expect(await notationVerify(notation, reference, theirs.certificate, undefined)).toMatchObject({ code: 1 });
    expect(refers(await discover(oras, reference, undefined), SIGNATURE)).toHaveLength(1);
    const signed = (await json('sign', '-r', ...keyOf(ours), reference)) as { digest: string; signed: unknown[] };
    // The index, two images, and the attestation that they share.
    expect(signed).toMatchObject({ digest });
    expect(signed.signed).toHaveLength(4);

    const verified = await did('verify', '--trust-store', ours.certificate, reference);
    expect(verified).toMatch(/^Signed by .*acr-promoter.*: sha256:/m);
    expect(digestIn(verified)).toBe(digest);
    expect(await json('verify', '--trust-store', ours.certificate, reference)).toMatchObject({ digest, passed: true });
    for (const more of [
      ['--trust-store', theirs.certificate],
      ['--trust-store', ours.certificate, '--identity', 'x509.subject: C=US, ST=WA, O=Else'],
    ]) {
      const ran = await run('verify', ...more, reference);
      expect(ran).toMatchObject({ code: 1, err: expect.stringContaining('(EVIDENCE_MISSING)') });
    }
    const notSigned = await push();
    expect((await run('verify', '--trust-store', ours.certificate, notSigned.reference)).err).toContain('yet');
  });

  test('verify applies the rules that would promote the image', async () => {
    const { reference } = await push();
    const path = await rules(`verify: { signatures: [{ format: notary, trustStore: '${theirs.certificate}' }] }`);
    expect((await run('verify', '--rules', path, reference)).err).toContain('(EVIDENCE_MISSING)');
    await did('sign', ...keyOf(theirs), reference);
    expect(await did('verify', '--rules', path, reference)).toContain('Verified [registry] ');
    const other = reference.replace(':v1', ':nightly');
    await did('tag', reference, 'nightly');
    expect((await run('verify', '--rules', path, other)).err).toContain('(NO_RULE_MATCHES)');
    expect(await did('verify', '--rules', path, '--rule', 'staging', other)).toContain('Verified ');
    expect((await run('verify', '--rules', path, '--rule', 'none', other)).err).toContain('(RULE_UNKNOWN)');
    const asksNothing = await rules();
    expect((await run('verify', '--rules', asksNothing, reference)).err).toContain('(NO_SIGNATURES_ASKED)');
  });

  test('promote attaches, copies all referrers and tags; a second promote is unchanged', async () => {
    const { name, reference, digest } = await push('index');
    const path = await rules(`verify: { signatures: [{ format: notary, trustStore: '${theirs.certificate}' }] }`);
    const promote = ['promote', '--rules', path, ...keyOf(ours), reference];
    const at = `localhost:${staging.port}/staging/${name}`;

    // Our own key never opens the gate, and nothing was written by then.
    await did('sign', ...keyOf(ours), reference);
    const before = await discover(oras, reference, undefined);
    expect(await run(...promote)).toMatchObject({ code: 1, err: expect.stringContaining('(EVIDENCE_MISSING)') });
    expect(await discover(oras, reference, undefined)).toEqual(before);
    expect((await run('resolve', `${at}:v1`)).code).toBe(1);

    await did('sign', ...keyOf(theirs), reference);
    const out = await did(...promote);
    for (const line of [
      'Checked   signed by ',
      'SBOM      linux/amd64: ',
      'Signature index: ',
      'Arrived   all there',
    ]) {
      expect(out).toContain(line);
    }
    expect(out).toContain(`Promoted [staging] ${reference} => ${at}:v1\nDigest: ${digest}\n`);
    expect(await did('resolve', `${at}:v1`)).toBe(`${digest}\n`);

    const promoted = await discover(oras, `${at}:v1`, undefined);
    expect(refers(promoted, SIGNATURE)).toHaveLength(2);
    for (const { certificate } of [ours, theirs]) {
      expect(await notationVerify(notation, `${at}:v1`, certificate, undefined)).toMatchObject({ code: 0 });
    }
    const { manifests } = JSON.parse(await did('manifest', 'fetch', `${at}:v1`)) as {
      manifests: { digest: string; platform: { os: string } }[];
    };
    for (const child of manifests) {
      const seen = await discover(oras, `${at}@${child.digest}`, undefined);
      expect(refers(seen, SIGNATURE)).toHaveLength(1);
      expect(refers(seen, SBOM)).toHaveLength(child.platform.os === 'unknown' ? 0 : 1);
      expect(await notationVerify(notation, `${at}@${child.digest}`, ours.certificate, undefined)).toMatchObject({
        code: 0,
      });
    }
    expect(await json(...promote)).toEqual({
      promotions: [{ rule: 'staging', source: reference, destination: `${at}:v1`, outcome: 'unchanged', digest }],
    });
    expect(await discover(oras, `${at}:v1`, undefined)).toEqual(promoted);
  });

  test('promote follows attachTo, sign, --rule and observe', async () => {
    const { name, reference, digest } = await push();
    const at = `localhost:${staging.port}/staging/${name}`;
    const path = await rules('attachTo: destination', 'sign: []');
    expect(await did('promote', '--rules', path, reference)).toContain('Promoted [staging] ');
    expect(refers(await discover(oras, reference, undefined), SBOM)).toEqual([]);
    expect(refers(await discover(oras, `${at}:v1`, undefined), SBOM)).toHaveLength(1);
    const observing = await rules('mode: observe', 'sign: []', 'sbom: { formats: [] }');
    await did('tag', reference, 'v2');
    expect(await json('promote', '--rules', observing, reference.replace(':v1', ':v2'))).toMatchObject({
      promotions: [{ outcome: 'observed', digest, reason: `${at}:v2 is not there` }],
    });
    expect((await run('resolve', `${at}:v2`)).code).toBe(1);
  });

  test.each([
    ['no rule matches it', ':nightly', [], 'NO_RULE_MATCHES'],
    ['it is not there', ':v404', [], 'SOURCE_NOT_FOUND'],
    ['there is no key', ':v1', [], 'SIGNING_KEY_MISSING'],
    ['there is no such rule', ':v1', ['--rule', 'none'], 'RULE_UNKNOWN'],
    ['it is no tag', `@sha256:${'a'.repeat(64)}`, [], 'REFERENCE_INVALID'],
    ['the app was meant', ':v1', ['--wait'], 'SUBMIT_MISSING'],
  ])('promote: %s', async (_what, tag, more, code) => {
    const { name, reference } = await push();
    const path = await rules();
    const ran = await run('promote', '--rules', path, ...more, reference.replace(':v1', tag));
    expect(ran).toMatchObject({ code: 1, err: expect.stringContaining(`(${code})`) });
    expect(refers(await discover(oras, reference, undefined), SBOM)).toEqual([]);
    expect((await run('resolve', `localhost:${staging.port}/staging/${name}:v1`)).code).toBe(1);
  });

  test('missing rules, a missing key and half a key are reported', async () => {
    const { reference } = await push();
    expect((await run('promote', reference)).err).toContain('(RULES_MISSING)');
    expect((await run('sign', reference)).err).toContain('(SIGNING_KEY_MISSING)');
    const half = await run('sign', '--signing-key', ours.key, reference);
    expect(half.err).toContain('(SIGNING_CERTIFICATE_MISSING)');
    const absent = ['--signing-key', join(folder, 'none'), '--certificate-chain', ours.certificate];
    expect((await run('sign', ...absent, reference)).err).toContain('(SIGNING_KEY_UNREADABLE)');
    const mixed = ['--signing-key', ours.key, '--certificate-chain', theirs.certificate];
    expect((await run('sign', ...mixed, reference)).err).toContain('(SIGNING_KEY_MISMATCH)');
  });
});
