import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { run } from '../../../src/cli/run.js';
import { createMemoryIo } from '../../support/memory-io.js';
import { writeImage } from '../../support/stack/images.js';

let folder = '';
let registry: RunningRegistry;
let image = '';
let layout = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sboms-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
  image = `localhost:${registry.port}/samples/app:v1`;
  layout = join(folder, 'layout');
  const digest = await writeImage(layout, 'an image');
  expect(await cli('copy', '--from-oci-layout', `${layout}@${digest}`, image)).toMatchObject({ code: 0 });
  layout = `${layout}@${digest}`;
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

async function cli(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  return await cliWith({}, ...argv);
}

async function cliWith(env: Record<string, string>, ...argv: string[]): ReturnType<typeof cli> {
  const { io, out, err } = createMemoryIo({ env: { DOCKER_CONFIG: folder, ...env } });
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

async function did(...argv: string[]): Promise<string> {
  const { code, out, err } = await cli(...argv);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

test('sbom lists the packages of an image in a registry and in a layout, and attaches nothing', async () => {
  const table = await did('sbom', image);
  expect(table).toMatch(/^TYPE +NAME +VERSION +LICENCE +PLACE/);
  expect(table).toMatch(/^npm +left-pad +\S+ .*\/package\.json$/m);
  expect(await did('sbom', '--format', 'table', '--oci-layout', layout)).toBe(table);
  const json = JSON.parse(await did('sbom', '--format', 'json', image)) as { packages: object[]; reference: string };
  expect(json.packages).toMatchObject([{ type: 'npm', name: 'left-pad', purl: expect.stringMatching(/^pkg:npm\//) }]);
  expect(json.reference).toContain('/samples/app@sha256:');
  expect(JSON.parse(await did('discover', '--format', 'json', image))).toMatchObject({ referrers: [] });
});

test('sbom asks for each manifest and blob once', async () => {
  const before = registry.log.length;
  await did('sbom', '--platform', 'linux/amd64', image);
  const asked = registry.log.slice(before).map(({ method, path }) => `${method} ${path}`);
  const fetched = asked.filter((request) => /^GET .*(?:manifests|blobs)/.test(request));
  // The manifest, the config and the layer.
  expect(fetched).toHaveLength(3);
  expect(new Set(fetched).size).toBe(3);
});

test('sbom writes a document of either format to standard output or a file', async () => {
  const spdx = await did('sbom', '--format', 'spdx', image);
  expect(JSON.parse(spdx)).toMatchObject({ spdxVersion: 'SPDX-2.3' });
  const path = join(folder, 'app.spdx.json');
  expect(await did('sbom', '--format', 'spdx', '-o', path, image)).toMatch(/^Wrote .*: 1 npm/);
  expect(await readFile(path, 'utf8')).toBe(spdx);
  expect(JSON.parse(await did('sbom', '-o', '-', image))).toMatchObject({ bomFormat: 'CycloneDX' });
});

test('sbom --attach attaches each format once', async () => {
  const made = await did('sbom', '--attach', '--format', 'cyclonedx,spdx', image);
  expect(made).toMatch(/^Attached image: 1 npm/);
  const again = await did('sbom', '--attach', '--format', 'cyclonedx,spdx', image);
  expect(again).toMatch(/^Exists {3}image: sha256:\w{64}, sha256:\w{64}\n/);
  const { images } = JSON.parse(await did('sbom', '--attach', '--format', 'spdx,cyclonedx,json', image)) as {
    images: { sboms: { format: string; made: boolean }[] }[];
  };
  expect(images[0]?.sboms.map(({ format, made: isMade }) => [format, isMade])).toEqual([
    ['cyclonedx', false],
    ['spdx', false],
  ]);
  const { referrers } = JSON.parse(await did('discover', '--format', 'json', image)) as {
    referrers: { artifactType: string }[];
  };
  expect(referrers.map(({ artifactType }) => artifactType).sort()).toEqual([
    'application/spdx+json',
    'application/vnd.cyclonedx+json',
  ]);
});

test.each([
  [['--format', 'cyclonedx,spdx'], 'OPTION_INVALID'],
  [['--format', 'table,json', '--attach'], 'OPTION_INVALID'],
  [['--format', 'xml'], 'OPTION_INVALID'],
  [['--format', 'json', '-o', '-'], 'OPTIONS_EXCLUSIVE'],
  [['--attach', '-o', '-'], 'OPTIONS_EXCLUSIVE'],
  [['--signing-key', 'key.pem'], 'OPTIONS_EXCLUSIVE'],
])('sbom %j is refused', async (options, code) => {
  expect(await cli('sbom', ...options, image)).toMatchObject({ code: 1, out: '', err: expect.stringContaining(code) });
});

test.each([[[]], [['--attach']]])('sbom %j keeps to SBOM_LIMITS, and its errors name it', async (options) => {
  const limited = await cliWith({ SBOM_LIMITS: '{"entries":1}' }, 'sbom', ...options, image);
  expect(limited).toMatchObject({ code: 1, err: expect.stringContaining('SBOM_LIMIT)') });
  expect(limited.err).toContain('SBOM_LIMITS={"entries":…}');
  expect(await cliWith({ SBOM_LIMITS: '{"entries":5000}' }, 'sbom', image)).toMatchObject({ code: 0 });
  expect(await cliWith({ SBOM_LIMITS: '' }, 'sbom', image)).toMatchObject({ code: 0 });
  const wrong = await cliWith({ SBOM_LIMITS: '{"enties":1}' }, 'sbom', ...options, image);
  expect(wrong).toMatchObject({ code: 1, out: '', err: expect.stringContaining('SETTING_INVALID') });
  expect(wrong.err).toContain('entries');
});

test('the help of sbom names SBOM_LIMITS', async () => {
  expect(await did('sbom', '--help')).toContain('SBOM_LIMITS=');
});

test('sbom names all formats if it does not know the one that was asked for', async () => {
  const { err } = await cli('sbom', '--format', 'xml', image);
  expect(err).toContain('supported types: json, go-template, text, table, cyclonedx, spdx');
});

test('sbom diff compares files, references and layouts', async () => {
  const path = join(folder, 'app.cdx.json');
  await did('sbom', '-o', path, image);
  expect(await did('sbom', 'diff', '--exit-code', path, image)).toBe('0 added, 0 removed, 0 changed\n');
  expect(await did('sbom', 'diff', image, layout)).toBe('0 added, 0 removed, 0 changed\n');
  const other = join(folder, 'other.spdx.json');
  const json = JSON.parse(await did('sbom', '--format', 'spdx', image)) as { packages: { versionInfo: string }[] };
  const last = json.packages.at(-1);
  if (last !== undefined) last.versionInfo = '9.9.9';
  await writeFile(other, JSON.stringify(json));
  const differing = await cli('sbom', 'diff', image, other, '--exit-code');
  expect(differing).toMatchObject({ code: 2, err: expect.stringContaining('SBOMS_DIFFER') });
  expect(differing.out).toMatch(/^changed +npm +left-pad +\S+ +9\.9\.9$/m);
  expect(JSON.parse(await did('sbom', 'diff', '--format', 'json', image, other))).toMatchObject({
    changed: 1,
    changes: [{ change: 'changed', type: 'npm', name: 'left-pad', to: ['9.9.9'] }],
  });
});

test('sbom diff of a file that is no SBOM is an error', async () => {
  const path = join(folder, 'any.json');
  await writeFile(path, '{"a":1}');
  const { err } = await cli('sbom', 'diff', path, image);
  expect(err).toContain(`${path} is no CycloneDX or SPDX document in JSON (SBOM_INVALID)`);
});

test('sbom diff of a file that does not exist says what it takes', async () => {
  const { code, err } = await cli('sbom', 'diff', 'nope.json', image);
  expect(code).toBe(1);
  expect(err).toContain('"nope.json" is neither a file with an SBOM nor an image (REFERENCE_INVALID)');
});
