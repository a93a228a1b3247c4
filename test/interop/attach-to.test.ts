import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWithPeers } from '../support/peers.js';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { writeImage } from '../support/stack/images.js';
import { discover, must, notationVerify, readJsonLines, type Discovered } from '../support/stack/programs.js';

const SIGNATURE = 'application/vnd.cncf.notary.signature';
const SBOM = 'application/vnd.cyclonedx+json';

function typesUnder(node: Discovered): string[] {
  return (node.referrers ?? []).map((each) => each.artifactType ?? '').sort();
}

// Where SBOMs and signatures go, and what happens where nothing may be written.
describeWithPeers('attachTo', ['oras', 'notation'], ([oras = '', notation = '']) => {
  let up: Everything;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-attach-to-'));
    up = await startEverything({
      schedule: '*/5 * * * * *',
      rules: ({ source, staging }) => ({
        rules: [
          {
            name: 'at-destination',
            existing: 'promote',
            source: { registry: source, repositories: ['read/**'] },
            attachTo: 'destination',
            destination: { reference: `${staging}/staging/{repository}:{tag}` },
          },
          {
            name: 'at-source',
            existing: 'promote',
            source: { registry: source, repositories: ['samples/**'] },
            destination: { reference: `${staging}/staging/{repository}:{tag}` },
          },
        ],
      }),
    });
  }, 120_000);
  afterAll(async () => {
    await up?.stop();
    await rm(folder, { recursive: true, force: true });
  }, 120_000);

  const login = (prefix = ''): string[] => [
    `--${prefix}username`,
    up.user.name,
    `--${prefix}password`,
    up.user.password,
    `--${prefix}plain-http`,
  ];
  async function push(repository: string, tag: string, content: string, registry = up.source): Promise<string> {
    const layout = join(folder, `${repository}-${tag}-${content}`.replaceAll(/[^a-z0-9]/g, '-'));
    const digest = await writeImage(layout, content);
    await must(oras, ['cp', '--from-oci-layout', `${layout}:v1`, ...login('to-'), `${registry}/${repository}:${tag}`]);
    return digest;
  }
  /** `az acr repository update --write-enabled …`, for a repository or, as `name/_tags/tag`, a tag. */
  async function setWritable(registry: string, repository: string, path: string, writeEnabled: boolean): Promise<void> {
    const basic = Buffer.from(`${up.user.name}:${up.user.password}`).toString('base64');
    const scope = `repository:${repository}:metadata_read,metadata_write`;
    const asked = await fetch(`http://${registry}/oauth2/token?service=${registry}&scope=${scope}`, {
      headers: { authorization: `Basic ${basic}` },
    });
    const { access_token: token } = (await asked.json()) as { access_token: string };
    const answer = await fetch(`http://${registry}/acr/v1/${path}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ writeEnabled }),
    });
    expect(answer.status).toBe(200);
  }
  const atStaging = (repository: string, tag: string): Promise<Discovered> =>
    discover(oras, `${up.staging}/staging/${repository}:${tag}`, up.user);
  /** Writes at the source into one repository, by whom. */
  async function writesAtSource(repository: string): Promise<Set<unknown>> {
    const log = await readJsonLines(join(up.dataDir, 'registry-source', 'requests.jsonl'));
    const writes = log.filter(
      ({ method, path, status }) =>
        !['GET', 'HEAD'].includes(String(method)) && String(path).startsWith(`/v2/${repository}/`) && status !== 401,
    );
    return new Set(writes.map(({ subject }) => subject));
  }

  test('with destination, oras and notation find SBOM and signatures there, and the source is only read', async () => {
    const since = Date.now();
    const digest = await push('read/app', 'v1', 'only read');
    expect(ending((await up.ended('read/app', 'v1', since)).last)).toMatchObject({ outcome: 'promoted', digest });
    const tree = await atStaging('read/app', 'v1');
    expect(tree.digest).toBe(digest);
    expect(typesUnder(tree)).toEqual([SIGNATURE, SBOM].sort());
    const sbom = tree.referrers?.find(({ artifactType }) => artifactType === SBOM);
    expect(typesUnder(sbom ?? { digest: '' })).toEqual([SIGNATURE]);
    for (const signed of [digest, sbom?.digest ?? '']) {
      const reference = `${up.staging}/staging/read/app@${signed}`;
      expect(await notationVerify(notation, reference, up.certificate, up.user)).toMatchObject({ code: 0 });
    }
    expect(typesUnder(await discover(oras, `${up.source}/read/app:v1`, up.user))).toEqual([]);
    expect([...(await writesAtSource('read/app'))]).toEqual([`user:${up.user.name}`]);
  }, 120_000);

  test('with destination, a repository that is locked at the source is promoted', async () => {
    await push('read/locked', 'v0', 'first');
    await up.ended('read/locked', 'v0', 0);
    const digest = await push('read/locked', 'v1', 'second');
    await setWritable(up.source, 'read/locked', 'read/locked', false);
    await up.ended('read/locked', 'v1', 0);
    expect((await atStaging('read/locked', 'v1')).digest).toBe(digest);
    expect(typesUnder(await atStaging('read/locked', 'v1'))).toEqual([SIGNATURE, SBOM].sort());
  }, 120_000);

  test('a scan that is attached at the source later arrives soon after its push', async () => {
    await writeFile(join(folder, 'scan.json'), '{}');
    const attach = ['attach', ...login(), '--artifact-type', 'scan/example'];
    await must(oras, [...attach, `${up.source}/read/app:v1`, 'scan.json:application/json'], {}, folder);
    await until('the scan', async () =>
      typesUnder(await atStaging('read/app', 'v1')).includes('scan/example') ? true : undefined,
    );
    expect(typesUnder(await atStaging('read/app', 'v1'))).toEqual([SIGNATURE, SBOM, 'scan/example'].sort());
  }, 120_000);

  test('a rule changed from destination to source gets the same SBOM and signatures at the source, one of each', async () => {
    const sbomOf = (tree: Discovered): string | undefined =>
      tree.referrers?.find(({ artifactType }) => artifactType === SBOM)?.digest;
    const there = sbomOf(await atStaging('read/app', 'v1'));
    const path = join(up.dataDir, 'rules.json');
    const { rules } = JSON.parse(await readFile(path, 'utf8')) as { rules: { name: string }[] };
    const changed = rules.map((each) => (each.name === 'at-destination' ? { ...each, attachTo: 'source' } : each));
    await writeFile(path, JSON.stringify({ rules: changed }));
    const source = await until('what is attached at the source', async () => {
      const tree = await discover(oras, `${up.source}/read/app:v1`, up.user);
      return typesUnder(tree).includes(SIGNATURE) ? tree : undefined;
    });
    await writeFile(path, JSON.stringify({ rules }));
    expect([sbomOf(source), typesUnder(source)]).toEqual([there, [SIGNATURE, SBOM, 'scan/example'].sort()]);
    expect(typesUnder(await atStaging('read/app', 'v1'))).toEqual([SIGNATURE, SBOM, 'scan/example'].sort());
    const [sbom] = source.referrers?.filter(({ digest }) => digest === there) ?? [];
    expect(typesUnder(sbom ?? { digest: '' })).toEqual([SIGNATURE]);
  }, 120_000);

  test('with source, a repository that is locked there fails the run, and the remedy names attachTo', async () => {
    const digest = await push('late/locked', 'v1', 'locked before any rule wants it');
    await setWritable(up.source, 'late/locked', 'late/locked', false);
    const path = join(up.dataDir, 'rules.json');
    const { rules } = JSON.parse(await readFile(path, 'utf8')) as { rules: unknown[] };
    const late = {
      name: 'late',
      existing: 'promote',
      source: { registry: up.source, repositories: ['late/**'] },
      destination: { reference: `${up.staging}/staging/{repository}:{tag}` },
    };
    // Read anew within a second.
    await writeFile(path, JSON.stringify({ rules: [...rules, late] }));
    const { last } = await up.ended('late/locked', 'v1', 0);
    expect(last).toMatchObject({
      outcome: 'failed',
      code: 'SOURCE_NOT_WRITABLE',
      remedy: expect.stringContaining('attachTo'),
      digest,
    });
    await writeFile(path, JSON.stringify({ rules: [...rules, { ...late, attachTo: 'destination' }] }));
    const since = Date.now();
    expect(ending((await up.ended('late/locked', 'v1', since)).last)).toMatchObject({ outcome: 'promoted', digest });
    expect(typesUnder(await atStaging('late/locked', 'v1'))).toEqual([SIGNATURE, SBOM].sort());
  }, 300_000);

  test('a locked destination tag is refused once and not tried again by the next scan', async () => {
    await push('samples/app', 'v1', 'one');
    await up.ended('samples/app', 'v1', 0);
    const { digest: before } = await atStaging('samples/app', 'v1');
    await setWritable(up.staging, 'staging/samples/app', 'staging/samples/app/_tags/v1', false);
    const since = Date.now();
    await push('samples/app', 'v1', 'two');
    const { last } = await up.ended('samples/app', 'v1', since);
    expect(last).toMatchObject({ outcome: 'refused', code: 'DESTINATION_LOCKED' });
    await up.nextScan();
    expect((await up.promotion('samples/app', 'v1'))?.last?.runId).toBe(last?.runId);
    expect((await atStaging('samples/app', 'v1')).digest).toBe(before);
  }, 240_000);
});
