import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, openLayout, type Descriptor } from 'acr-promoter/oci';
import { startRegistry, type RunningRegistry } from '../../../../local/registry/server.js';
import { run } from '../../../../src/cli/run.js';
import { putRealGraph, text } from '../../../support/graphs.js';
import { createMemoryIo } from '../../../support/memory-io.js';

let folder = '';
let layout = '';
let repo = '';
let host = '';
let root: Descriptor;
let registry: RunningRegistry;

async function acrPromoter(line: string, input = ''): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo({ input });
  const code = await run(
    line.split(' ').filter((word) => word !== ''),
    io,
  );
  return { code, out: out().toString(), err: err() };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-manifests-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
  host = `localhost:${registry.port}`;
  repo = `${host}/samples/app`;
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});
/** For tests that change it. */
async function freshLayout(): Promise<void> {
  layout = await mkdtemp(join(folder, 'layout-'));
  root = (await putRealGraph(await openLayout(layout, { create: true }))).root;
}

describe('in an OCI image layout', () => {
  beforeEach(freshLayout);

  test('tag, and index create and update', async () => {
    expect(await acrPromoter(`tag --oci-layout ${layout}:v1 v2`)).toEqual({
      code: 0,
      out: `Tagging [oci-layout] ${layout}@${root.digest}\nTagged v2\n`,
      err: '',
    });
    const created = await acrPromoter(`manifest index create --oci-layout ${layout}:idx,idx2 v1`);
    expect(created.out).toMatch(/Pushed {4}\[oci-layout\] \S+:idx\nTagged idx2\nDigest: sha256:\w{64}\n$/);
    const updated = await acrPromoter(`manifest index update --oci-layout ${layout}:idx --merge v1 --tag more`);
    expect(updated).toMatchObject({ code: 0, err: '' });
    const printed = await acrPromoter(`manifest index update --oci-layout ${layout}:idx --remove ${root.digest} -o -`);
    expect((JSON.parse(printed.out) as { manifests: unknown[] }).manifests).toHaveLength(3);
    expect((await acrPromoter(`repo tags --oci-layout ${layout}`)).out).toBe('idx\nidx2\nmore\nv1\nv2\n');
  });

  test('manifest delete removes the tags, too', async () => {
    const target = `--oci-layout ${layout}:v1`;
    expect((await acrPromoter(`manifest delete ${target}`)).out).toMatch(/\[y\/N\] Operation cancelled\.\n$/);
    expect((await acrPromoter(`manifest delete ${target}`, 'Y\n')).out).toMatch(/\[y\/N\] Deleted \[oci-layout\] /);
    expect((await acrPromoter(`repo tags --oci-layout ${layout}`)).out).toBe('');
    expect(await acrPromoter(`manifest delete -f ${target}`)).toEqual({
      code: 0,
      out: `Missing ${layout}:v1\n`,
      err: '',
    });
  });
});

describe('blobs', () => {
  beforeAll(freshLayout);
  const content = 'a blob of manifests.test\n';
  const digest = digestOf(text(content));

  /** Files with that content in folders that are like ours; those of other processes come and go. */
  async function keptOf(wanted: string): Promise<string[]> {
    const folders = (await readdir(tmpdir())).filter((name) => /^acr-promoter-\w{6}$/.test(name));
    const files = await Promise.all(
      folders.map(async (name) => {
        const inside = await readdir(join(tmpdir(), name)).catch(() => []);
        return inside.map((file) => join(tmpdir(), name, file));
      }),
    );
    const contents = await Promise.all(
      files.flat().map(async (file) => [file, await readFile(file, 'utf8').catch(() => '')]),
    );
    return contents.filter(([, found]) => found === wanted).map(([file = '']) => file);
  }

  test('from standard input are stored until they are sent', async () => {
    const pushed = await acrPromoter(`blob push --size ${content.length} ${repo}@${digest} -`, content);
    expect(pushed).toMatchObject({ code: 0, err: '' });
    expect(pushed.out).toMatch(/^Uploading \w{12} application\/vnd\.oci\.image\.layer\.v1\.tar\nUploaded /);
    expect(await keptOf(content)).toEqual([]);
    expect((await acrPromoter(`blob fetch -o - ${repo}@${digest}`)).out).toBe(content);
  });

  test('are written to a file that appears only when it is complete', async () => {
    await acrPromoter(`blob push --size ${content.length} ${repo}@${digest} -`, content);
    const path = join(folder, 'fetched');
    await writeFile(path, 'what was there before');
    const fetched = await acrPromoter(`blob fetch -o ${path} --descriptor ${repo}@${digest}`);
    expect(JSON.parse(fetched.out)).toEqual({ mediaType: 'application/octet-stream', digest, size: content.length });
    expect(await readFile(path, 'utf8')).toBe(content);
    const stored = join(layout, 'blobs', root.digest.replace(':', '/'));
    await writeFile(stored, 'x'.repeat(root.size));
    const broken = await acrPromoter(`blob fetch --oci-layout -o ${path} ${layout}@${root.digest}`);
    expect(broken.err).toContain('(DIGEST_MISMATCH)');
    expect(await readFile(path, 'utf8')).toBe(content);
    expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('are written to a device without replacing it', async () => {
    await acrPromoter(`blob push --size ${content.length} ${repo}@${digest} -`, content);
    expect((await acrPromoter(`blob fetch -o /dev/null ${repo}@${digest}`)).code).toBe(0);
    expect((await stat('/dev/null')).isFile()).toBe(false);
  });
});

test('repo ls by template and as JSON', async () => {
  await freshLayout();
  for (const name of ['samples/app', 'samples/other', 'samplesx']) {
    await acrPromoter(`copy --from-oci-layout ${layout}:v1 ${host}/${name}:v1`);
  }
  expect((await acrPromoter(`repo ls ${host}/samples`)).out).toBe('app\nother\n');
  const template = '--format go-template={{range.repositories}}<{{.}}>{{end}}';
  expect((await acrPromoter(`repo ls ${template} ${host}/samples/`)).out).toBe('<samples/app><samples/other>');
  expect(JSON.parse((await acrPromoter(`repo ls --format json --last samples/app ${host}`)).out)).toEqual({
    registry: host,
    repositories: ['samples/other', 'samplesx'],
  });
});

describe('wrong use', () => {
  test.each([
    ['tag', 'at least 1 argument but got 0'],
    ['manifest index create', 'at least 1 argument but got 0'],
    ['manifest push a', 'exactly 2 arguments but got 1'],
    ['blob push a', 'exactly 2 arguments but got 1'],
    ['manifest delete', 'exactly 1 argument but got 0'],
    ['login', 'exactly 1 argument but got 0'],
    ['completion', 'exactly 1 argument but got 0'],
    ['blob fetch --descriptor a.b/c', 'no digest specified'],
    ['manifest delete a.b/c', 'no tag or digest specified'],
    ['manifest index update a.b/c --add x', 'no tag or digest specified'],
    ['tag a.b/c v1', 'no tag or digest specified'],
  ])('%s is said in three lines', async (line, message) => {
    const { code, out, err } = await acrPromoter(line);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    const lines = err.split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toContain(message);
    expect(lines[1]).toMatch(/^Usage: acr-promoter /);
    expect(lines[2]).toMatch(/Run "acr-promoter .* -h"/);
  });

  test.each([
    ['tag --concurrency x a.b/c:v1 v2', 'OPTION_INVALID'],
    ['tag localhost:1/c:v1 a,b', 'REFERENCE_INVALID'],
    ['manifest push a.b/c:v1 /nowhere/manifest.json', 'FILE_UNREADABLE'],
    ['manifest push --password-stdin a.b/c:v1 -', 'OPTIONS_EXCLUSIVE'],
    ['manifest push a.b/c:v1,b@d -', 'REFERENCE_INVALID'],
    ['manifest fetch-config -o - --descriptor a.b/c:v1', 'OPTIONS_EXCLUSIVE'],
    ['manifest delete --descriptor a.b/c:v1', 'CONFIRMATION_MISSING'],
    ['manifest index create -a bad a.b/c:v1 x', 'ANNOTATION_INVALID'],
    ['manifest index update a.b/c:v1 --add x --tag t -o y', 'OPTIONS_EXCLUSIVE'],
    ['manifest index update localhost:1/c:v1 --remove x', 'DIGEST_INVALID'],
    ['blob fetch a.b/c@v1', 'OPTION_MISSING'],
    ['blob fetch -o - --descriptor a.b/c@v1', 'OPTIONS_EXCLUSIVE'],
    ['blob fetch -o - a.b/c:v1', 'DIGEST_INVALID'],
    ['blob push a.b/c -', 'OPTION_MISSING'],
    ['blob push --size 1 a.b/c -', 'DIGEST_INVALID'],
    ['blob push --password-stdin --size 1 a.b/c -', 'OPTIONS_EXCLUSIVE'],
    ['blob push --size 1.5 a.b/c /dev/null', 'OPTION_INVALID'],
    ['blob push a.b/c /nowhere/blob', 'FILE_UNREADABLE'],
    ['blob push a.b/c /', 'FILE_UNREADABLE'],
    ['blob push a.b/c:v1 x', 'DIGEST_INVALID'],
    ['repo ls a.b/C', 'REFERENCE_INVALID'],
    ['repo ls a.b --format x', 'OPTION_INVALID'],
    ['repo ls --password a --password-stdin a.b', 'OPTIONS_EXCLUSIVE'],
  ])('%s: %s', async (line, code) => {
    const ran = await acrPromoter(line);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(ran.err).toMatch(new RegExp(`^(?:WARNING! .*\\n)?Error: [^\\n]*\\(${code}\\)\\n`));
  });

  test.each([
    ['blob fetch a.b/c@v1', 'Add --output PATH'],
    ['blob push a.b/c -', 'Add --size BYTES.'],
    ['blob push a.b/c /nowhere/blob', 'Name a file'],
    ['blob push a.b/c /', 'Name a file'],
    ['manifest push a.b/c:v1 /nowhere/manifest.json', 'Name a file'],
  ])('%s: the error says what to do', async (line, remedy) => {
    expect((await acrPromoter(line)).err).toContain(`)\n${remedy}`);
  });

  test('of an output file that cannot be written is an error', async () => {
    for (const path of ['/nowhere/at/all', folder]) {
      const ran = await acrPromoter(
        `manifest fetch-config --oci-layout -o ${path} ${layout}:v1 --platform linux/amd64`,
      );
      const blob = await acrPromoter(`blob fetch --oci-layout -o ${path} ${layout}@${root.digest}`);
      expect(blob.err).toContain('(FILE_UNWRITABLE)');
      expect(ran.code).toBe(1);
    }
  });
});
