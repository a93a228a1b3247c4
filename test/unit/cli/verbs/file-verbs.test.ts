import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, openLayout } from 'acr-promoter/oci';
import { run } from '../../../../src/cli/run.js';
import { startRegistry, type RunningRegistry } from '../../../../local/registry/server.js';
import { treeOf } from '../../../support/artifacts.js';
import { createMemoryIo } from '../../../support/memory-io.js';

const home = process.cwd();
let folder = '';
let registry: RunningRegistry;
let here = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'file-verbs-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
  here = `localhost:${registry.port}`;
  await mkdir(join(folder, 'files', 'details'), { recursive: true });
  process.chdir(join(folder, 'files'));
  await writeFile('readme.md', 'Readme Content\n');
  await writeFile(join('details', 'more.md'), 'More\n');
  await writeFile('config.json', '{}\n');
});
afterAll(async () => {
  process.chdir(home);
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

async function acrPromoter(
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; lines: string[]; out: string; err: string }> {
  const { io, out, err } = createMemoryIo({ env: { DOCKER_CONFIG: join(folder, 'docker'), ...env } });
  const code = await run(argv, io);
  const text = out().toString();
  return { code, out: text, lines: text.split('\n'), err: err() };
}

test('push, pull and attach print what the guide shows', async () => {
  const artifact = `${here}/samples/artifact:readme`;
  const pushed = await acrPromoter([
    'push',
    artifact,
    '--artifact-type',
    'readme/example',
    './readme.md:application/markdown',
    './details',
  ]);
  expect([pushed.code, pushed.err]).toEqual([0, '']);
  expect(pushed.lines.slice(0, 2)).toEqual(['Preparing readme.md', 'Preparing details']);
  expect(pushed.lines).toContain('Uploading 2fdeac43552b readme.md');
  expect(pushed.lines).toContain('Uploaded  2fdeac43552b readme.md');
  const digest = /^Digest: (\S+)$/m.exec(pushed.out)?.[1] ?? '';
  expect(pushed.lines.slice(-4)).toEqual([
    `Pushed [registry] ${artifact}`,
    'ArtifactType: readme/example',
    `Digest: ${digest}`,
    '',
  ]);

  const pulled = await acrPromoter(['pull', '-o', '../download', artifact]);
  expect([pulled.code, pulled.err]).toEqual([0, '']);
  expect(pulled.lines).toContain('Downloaded  2fdeac43552b readme.md');
  expect(pulled.lines.slice(-3)).toEqual([`Pulled [registry] ${artifact}`, `Digest: ${digest}`, '']);
  expect(await treeOf(join(folder, 'download'))).toEqual({
    details: '/',
    'details/more.md': 'More\n',
    'readme.md': 'Readme Content\n',
  });

  const attach = ['attach', artifact, '--artifact-type', 'signature/example', './config.json:application/json'];
  const attached = await acrPromoter(attach);
  const referrer = /^Digest: (\S+)$/m.exec(attached.out)?.[1] ?? '';
  expect(attached.lines.slice(-3)).toEqual([
    `Attached to [registry] ${here}/samples/artifact@${digest}`,
    `Digest: ${referrer}`,
    '',
  ]);
  const again = await acrPromoter(attach);
  expect(again.lines.slice(0, 2)).toEqual([
    'Preparing config.json',
    `Exists    ${referrer.slice(7, 19)} application/vnd.oci.image.manifest.v1+json`,
  ]);
  const { out } = await acrPromoter(['discover', artifact]);
  expect(out.match(/sha256:/g)).toHaveLength(2);
});

describe('results', () => {
  test('are JSON with the digest in the reference and all tags in order', async () => {
    const { out } = await acrPromoter(['push', `${here}/json:v2,v1`, '--format', 'json', 'readme.md']);
    const json = JSON.parse(out) as { digest: string };
    expect(json).toEqual({
      reference: `${here}/json@${json.digest}`,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: json.digest,
      size: expect.any(Number),
      annotations: { 'org.opencontainers.image.created': '1970-01-01T00:00:00Z' },
      artifactType: 'application/vnd.unknown.artifact.v1',
      referenceAsTags: [`${here}/json:v1`, `${here}/json:v2`],
    });
    const pulled = await acrPromoter(['pull', '-o', '../json', `${here}/json:v1`, '--format', 'json']);
    expect(JSON.parse(pulled.out)).toMatchObject({
      reference: `${here}/json@${json.digest}`,
      files: [{ path: join(folder, 'json', 'readme.md'), digest: digestOf(Buffer.from('Readme Content\n')), size: 15 }],
    });
  });

  test('are exactly the output of a template', async () => {
    const push = ['push', `${here}/template:v1`, 'readme.md'];
    const { out } = await acrPromoter([...push, '--format', 'go-template={{.digest}}']);
    expect(out).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect((await acrPromoter([...push, '--format', 'go-template', '--template', '{{.size}}'])).out).toMatch(/^\d+$/);
  });

  test('have several tags: the first is pushed and the others are set', async () => {
    const { lines } = await acrPromoter(['push', `${here}/several:v1,v2`, 'readme.md']);
    expect(lines.slice(-5, -3)).toEqual([`Pushed [registry] ${here}/several:v1`, 'Tagged v2']);
  });

  test('can be written to a layout and read from it', async () => {
    const { lines } = await acrPromoter(['push', '--oci-layout', '../layout:v1', 'readme.md']);
    expect(lines).toContain('Pushed [oci-layout] ../layout:v1');
    expect((await acrPromoter(['push', '--oci-layout', '../layout:v1', 'readme.md'])).out).toContain('Exists ');
    expect((await acrPromoter(['pull', '--oci-layout', '-o', '../from-layout', '../layout:v1'])).code).toBe(0);
    expect(await treeOf(join(folder, 'from-layout'))).toEqual({ 'readme.md': 'Readme Content\n' });
  });

  test('include the manifest in a file if an option asks for it', async () => {
    await acrPromoter(['push', '--oci-layout', '../kept:v1', '--export-manifest', '../kept.json', 'readme.md']);
    const { digest } = await (await openLayout(join(folder, 'kept'))).resolve('v1');
    expect(digestOf(await readFile(join(folder, 'kept.json')))).toBe(digest);
  });

  test('name what was skipped, with a hint', async () => {
    const config = ['--config', 'config.json:x/y', '--artifact-type', 'a/b'];
    await acrPromoter(['push', `${here}/skipped:v1`, ...config, 'readme.md']);
    const { lines } = await acrPromoter(['pull', '-o', '../skipped', `${here}/skipped:v1`]);
    expect(lines.some((line) => /^Skipped {5}\w{12} x\/y$/.test(line))).toBe(true);
    expect(lines.slice(-3)).toEqual([
      'Skipped pulling layers without file name in "org.opencontainers.image.title"',
      `Use 'acr-promoter copy ${here}/skipped:v1 --to-oci-layout <layout-dir>' to pull all layers.`,
      '',
    ]);
  });

  test('contain no control characters from a title', async () => {
    await writeFile(
      'annotations.json',
      JSON.stringify({ 'readme.md': { 'org.opencontainers.image.title': 'a\u001B[2Jb' } }),
    );
    const { out } = await acrPromoter([
      'push',
      `${here}/terminal:v1`,
      '--annotation-file',
      'annotations.json',
      'readme.md',
    ]);
    expect(out).toContain('Preparing a?[2Jb\n');
    expect(out).not.toContain('\u001B');
  });
});

describe('the creation time', () => {
  const push = (env: Record<string, string>, ...args: string[]) =>
    acrPromoter(
      [
        'push',
        `${here}/time:v1`,
        '--format=go-template={{index .annotations "org.opencontainers.image.created"}}',
        ...args,
        'readme.md',
      ],
      env,
    );
  test.each([
    [{}, [], '1970-01-01T00:00:00Z'],
    [{ SOURCE_DATE_EPOCH: '1767225600' }, [], '2026-01-01T00:00:00Z'],
    [
      { SOURCE_DATE_EPOCH: '1' },
      ['-a', 'org.opencontainers.image.created=2020-02-02T02:02:02Z'],
      '2020-02-02T02:02:02Z',
    ],
  ])('%j %j', async (env, args, created) => {
    expect((await push(env, ...args)).out).toBe(created);
  });

  test('is refused if it is not a time', async () => {
    const { code, err } = await push({ SOURCE_DATE_EPOCH: 'yesterday' });
    expect([code, err.includes('SETTING_INVALID')]).toEqual([1, true]);
  });
});

describe('wrong use', () => {
  test.each([
    ['push', [], 'requires at least 1 argument but got 0'],
    ['attach', ['--artifact-type', 'a/b'], 'requires at least 1 argument but got 0'],
    ['attach', ['--artifact-type', 'a/b', 'localhost:1/a:v1'], 'neither file nor annotation provided in the command'],
    ['attach', ['--artifact-type', 'a/b', 'localhost:1/a', 'readme.md'], 'no tag or digest specified'],
    ['pull', ['localhost:1/a'], 'no tag or digest specified'],
  ])('%s %j in three lines', async (verb, args, message) => {
    const { code, out, err } = await acrPromoter([verb, ...args]);
    const lines = err.split('\n');
    expect([code, out, lines.length]).toEqual([1, '', 4]);
    expect(lines[0]).toContain(message);
    expect(lines[1]).toMatch(new RegExp(`^Usage: acr-promoter ${verb} `));
    expect(lines[2]).toContain(`Run "acr-promoter ${verb} -h"`);
  });

  test('attach without an artifact type names the option', async () => {
    const { err } = await acrPromoter(['attach', 'localhost:1/a:v1', 'readme.md']);
    expect(err).toContain('(OPTION_REQUIRED)\nAdd --artifact-type TYPE/SUBTYPE.\n');
  });

  test.each<[string[], string]>([
    [['attach', 'localhost:1/a:v1', 'readme.md'], 'OPTION_REQUIRED'],
    [['push', 'localhost:1/a:v1', '-a', 'a=1', '--annotation-file', 'x', 'readme.md'], 'OPTIONS_EXCLUSIVE'],
    [['push', 'localhost:1/a:v1', '--annotation-file', 'missing', 'readme.md'], 'ANNOTATION_FILE_INVALID'],
    [['push', 'localhost:1/a:v1', '--image-spec', 'v3', 'readme.md'], 'OPTION_INVALID'],
    [['push', 'localhost:1/a:v1', '--concurrency', 'x', 'readme.md'], 'OPTION_INVALID'],
    [['pull', 'localhost:1/a:v1', '--unpack-limit', '10X'], 'OPTION_INVALID'],
    [['pull', 'localhost:1/a:v1', '--format', 'xml'], 'OPTION_INVALID'],
    [['pull', 'localhost:1/a:v1', '--format', 'json=x'], 'OPTION_INVALID'],
    [['pull', 'localhost:1/a:v1', '--format', 'go-template='], 'OPTION_INVALID'],
    [['pull', 'localhost:1/a:v1', '--template', 'x'], 'OPTIONS_EXCLUSIVE'],
  ])('%j ends with %s', async (argv, code) => {
    const ran = await acrPromoter(argv);
    expect([ran.code, ran.out]).toEqual([1, '']);
    expect(ran.err).toContain(`(${code})`);
  });

  test('except that --unpack-limit accepts units', async () => {
    await acrPromoter(['push', `${here}/limit:v1`, 'details']);
    const pull = (limit: string) =>
      acrPromoter(['pull', '-o', '../limit', `${here}/limit:v1`, '--unpack-limit', limit]);
    expect((await pull('1K')).err).toContain('(TOO_LARGE)');
    expect((await pull('1M')).code).toBe(0);
  });
});

test('--force of push and copy restores a blob that its manifest has lost', async () => {
  const layout = join(folder, 'forced');
  const blob = join(layout, 'blobs', 'sha256', digestOf(Buffer.from('Readme Content\n')).slice('sha256:'.length));
  await acrPromoter(['push', '--oci-layout', `${layout}:v1`, 'readme.md']);
  await acrPromoter(['copy', '--from-oci-layout', `${layout}:v1`, `${here}/samples/forced:v1`]);
  for (const again of [
    ['push', '--force', '--oci-layout', `${layout}:v1`, 'readme.md'],
    ['copy', '--force', '--to-oci-layout', `${here}/samples/forced:v1`, `${layout}:v1`],
  ]) {
    await rm(blob);
    expect(await acrPromoter(again)).toMatchObject({ code: 0, err: '' });
    expect(await readFile(blob, 'utf8')).toBe('Readme Content\n');
  }
});
