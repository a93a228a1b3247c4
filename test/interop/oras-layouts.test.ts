import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { runOurs, runProgram, splitLine, type Ran } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

const CREATED = '-a org.opencontainers.image.created=2026-01-01T00:00:00Z';

/** What stands in a folder of each side after each line must be the same: in index.json, and among the blobs. */
const LAYOUTS: Record<string, string[]> = {
  'an index by tag': ['cp {repo}:idx --to-oci-layout {layout}:v1', 'cp {repo}:amd64 --to-oci-layout {layout}:v2'],
  'an index by digest': ['cp {repo}@{idx} --to-oci-layout {layout}', 'cp {repo}@{idx} --to-oci-layout {layout}:v1'],
  'an index to its digest': ['cp {repo}:idx --to-oci-layout {layout}@{idx}'],
  'one platform': ['cp --platform linux/amd64 {repo}:idx --to-oci-layout {layout}:v1,v2'],
  'one platform without a tag': ['cp --platform linux/amd64 {repo}:idx --to-oci-layout {layout}'],
  'one platform with its referrers': ['cp -r --platform linux/amd64 {repo}:idx --to-oci-layout {layout}:v1'],
  'a child before its index': [
    'cp {repo}:amd64 --to-oci-layout {layout}:v1',
    'cp {repo}:idx --to-oci-layout {layout}:v2',
  ],
  'an index of an index, on to another layout': [
    'cp {repo}:nested --to-oci-layout {layout}:v1',
    'cp --from-oci-layout {layout}:v1 --to-oci-layout {layout}2:v1',
    'cp --from-oci-layout {layout}@{idx} --to-oci-layout {layout}3:v1',
  ],
  'referrers of an artifact': [
    'cp -r {repo}:artifact --to-oci-layout {layout}:v1,v2',
    'cp -r {repo}:artifact --to-oci-layout {layout}:v1',
    'cp {repo}:amd64 --to-oci-layout {layout}:v1',
  ],
  'pushed, tagged, pushed again': [
    `push --oci-layout {layout}:v1 ${CREATED} -a x=y --artifact-type x/a a.txt`,
    'tag --oci-layout {layout}:v1 v2',
    'cp --from-oci-layout {layout}:v1 --to-oci-layout {layout}2:v1',
    'cp --from-oci-layout {layout}:v2 --to-oci-layout {layout}2',
    `push --oci-layout {layout}:v2,v3 ${CREATED} -a x=z a.txt`,
    `push --oci-layout {layout}:v1 ${CREATED} --config c.json:x/config a.txt`,
    `push --oci-layout {layout} ${CREATED} -a x=y --artifact-type x/a a.txt`,
    'manifest push --oci-layout {layout}:m amd64.json',
    'manifest push --oci-layout {layout}:n index.json',
    'manifest index create --oci-layout {layout}:i -a i=j --artifact-type x/i v1 v2',
    'manifest index update --oci-layout {layout}:i --add v3 --tag j',
    `attach --oci-layout {layout}@{nested} ${CREATED} --artifact-type x/s a.txt`,
  ],
  'tagged by digest': ['cp {repo}:idx --to-oci-layout {layout}:v1', 'tag --oci-layout {layout}@{amd64} amd64'],
  'sources are tags, whatever they look like': [
    'cp {repo}:amd64 --to-oci-layout {layout}:v1',
    'manifest index create --oci-layout {layout}:i {layout}:v1',
    'manifest index create --oci-layout {layout}:i {layout}@{amd64}',
    'tag --oci-layout {layout}:v1 {layout}:v1',
    'manifest index create --oci-layout {layout}:i {layout}:v1',
    'manifest index update --oci-layout {layout}:i --add {layout}@{amd64}',
    'manifest index update --oci-layout {layout}:i --add {layout}:v1 --tag {layout}:t',
    'manifest index update --oci-layout {layout}:{layout}:t --merge {layout}:t',
  ],
  'a deleted index takes its children along, but for those with a tag, of another index, or with a referrer': [
    'cp {repo}:nested --to-oci-layout {layout}:nested',
    'cp {repo}:arm --to-oci-layout {layout}:arm',
    'manifest delete -f --oci-layout {layout}:nested',
    'cp {repo}:idx --to-oci-layout {layout}:idx',
    'cp -r {repo}:amd64 --to-oci-layout {layout}',
    'manifest index create --oci-layout {layout}:other {arm64}',
    'manifest delete -f --oci-layout {layout}:idx',
    'manifest delete -f --oci-layout {layout}:other',
    'manifest delete -f --oci-layout {layout}:other',
    'cp {repo}:idx --to-oci-layout {layout}:idx',
    'manifest delete -f --oci-layout {layout}@{arm64}',
  ],
  'a deleted subject takes its referrers along, and theirs': [
    'cp -r {repo}:artifact --to-oci-layout {layout}:v1,v2',
    'cp {repo}:twin --to-oci-layout {layout}:twin',
    'tag --oci-layout {layout}@{sbom} sbom',
    'blob push --oci-layout {layout} a.txt',
    'manifest delete -f --oci-layout {layout}@{signature}',
    'cp -r {repo}:artifact --to-oci-layout {layout}:v3',
    'manifest delete -f --oci-layout {layout}:v1',
    'blob delete -f --oci-layout {layout}@{a.txt}',
    'manifest delete -f --oci-layout {layout}:twin',
    'cp {repo}:twin --to-oci-layout {layout}:twin',
  ],
};

describeWithPeers('layouts, compared with oras', ['oras'], ([oras = '']) => {
  let folder = '';
  let registry: RunningRegistry;
  const words: Record<string, string> = {};
  const home = process.cwd();

  const theirs = async (...argv: string[]): Promise<string> => {
    const { code, out, err } = await runProgram(oras, argv, { cwd: folder });
    if (code !== 0) throw new Error(err);
    return out;
  };
  const keep = async (name: string, ...argv: string[]): Promise<void> => {
    words[name] = (await theirs(...argv)).match(/sha256:[0-9a-f]{64}/g)?.at(-1) ?? '';
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'oras-layouts-'));
    process.chdir(folder);
    registry = await startRegistry({ dataDir: join(folder, 'data'), anonymous: true, users: [] });
    const repo = `localhost:${registry.port}/samples/app`;
    const created = CREATED.split(' ');
    words['repo'] = repo;
    await writeFile('a.txt', 'hello');
    await writeFile('b.txt', 'world');
    for (const name of ['amd64', 'arm64', 'arm']) {
      await writeFile('c.json', JSON.stringify({ os: 'linux', architecture: name }));
      const config = 'c.json:application/vnd.oci.image.config.v1+json';
      await theirs('push', `${repo}:${name}`, ...created, '--config', config, 'a.txt');
      await keep(name, 'resolve', `${repo}:${name}`);
    }
    for (const name of ['artifact', 'twin']) {
      const type = ['--artifact-type', 'x/artifact', '-a', `name=${name}`];
      await keep(name, 'push', `${repo}:${name}`, ...created, ...type, 'b.txt');
    }
    await keep('idx', 'manifest', 'index', 'create', `${repo}:idx`, 'amd64', 'arm64', 'artifact');
    const nested = ['manifest', 'index', 'create', '-a', 'i=j', '--artifact-type', 'x/index', `${repo}:nested`];
    await keep('nested', ...nested, 'idx', 'amd64', 'arm');
    const attach = ['attach', ...created, '--artifact-type'];
    await theirs(...attach, 'x/image', `${repo}:amd64`, 'a.txt');
    await keep('sbom', ...attach, 'x/sbom', '-a', 'k=v', `${repo}:artifact`, 'a.txt');
    await keep('signature', ...attach, 'x/signature', `${repo}@${words['sbom']}`, 'b.txt');
    await writeFile('amd64.json', await theirs('manifest', 'fetch', `${repo}:amd64`));
    await writeFile('index.json', await theirs('manifest', 'fetch', `${repo}:nested`));
    await keep('a.txt', 'blob', 'push', '--descriptor', repo, 'a.txt');
  }, 60_000);
  afterAll(async () => {
    process.chdir(home);
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function runOn(side: string, layout: string, line: string): Promise<Ran> {
    const known: Record<string, string> = { ...words, layout: `${side}${layout}` };
    const argv = splitLine(line).map((word) =>
      word.replaceAll(/\{([\w.]+)\}/g, (all, name: string) => known[name] ?? all),
    );
    return side === 'theirs' ? runProgram(oras, argv, { cwd: folder }) : runOurs(argv);
  }

  interface Entry {
    digest: string;
    annotations?: Record<string, string>;
  }

  /**
   * Of all layouts of a side: entries of the index, whose order is chance in oras, and names of blobs. It is chance as well
   * whether oras takes what it says of a manifest from the list that it stands in, or from what refers to it.
   */
  async function standing(side: string, layout: string, { hasReferrers = false } = {}): Promise<unknown> {
    const names = (await readdir('.')).filter((name) => name.replace(/\d$/, '') === `${side}${layout}`);
    return Promise.all(
      names.sort().map(async (name) => {
        const text = (await readFile(join(name, 'index.json'), 'utf8')).replaceAll(side, 'side');
        const { manifests } = JSON.parse(text) as { manifests: Entry[] | null };
        const keyed = (manifests ?? []).map((entry): [string, unknown] => {
          const { 'org.opencontainers.image.ref.name': tag = '' } = entry.annotations ?? {};
          return [`${entry.digest} ${tag}`, hasReferrers ? tag : entry];
        });
        keyed.sort(([a], [b]) => a.localeCompare(b));
        return { entries: keyed, blobs: (await readdir(join(name, 'blobs', 'sha256'))).sort() };
      }),
    );
  }

  describe.each(
    Object.entries(LAYOUTS).map(([name, lines], at) => ({ name, lines, layout: `layout${'x'.repeat(at)}` })),
  )('$name', ({ lines, layout }) => {
    test.each(lines)('%s does what oras does', async (line) => {
      const [other, own] = [await runOn('theirs', layout, line), await runOn('ours', layout, line)];
      expect({ code: own.code, err: own.code === 0 ? own.err : '' }).toEqual({ code: other.code, err: '' });
      const how = { hasReferrers: lines.some((each) => each.includes(' -r ')) };
      expect(await standing('ours', layout, how)).toEqual(await standing('theirs', layout, how));
    });
  });

  test('deleting a referrer keeps its subject, tagged or not; oras deletes an untagged subject', async () => {
    for (const side of ['theirs', 'ours']) {
      for (const line of [
        'cp -r {repo}:artifact --to-oci-layout {layout}',
        'manifest delete -f --oci-layout {layout}@{sbom}',
      ]) {
        expect((await runOn(side, '-untagged', line)).code).toBe(0);
      }
    }
    expect(await standing('theirs', '-untagged')).toEqual([{ entries: [], blobs: [] }]);
    expect(await standing('ours', '-untagged')).toMatchObject([
      { entries: [[expect.stringContaining(words['artifact'] ?? ''), {}]] },
    ]);
  });

  test('a layout that oras has emptied can be read', async () => {
    for (const line of ['cp {repo}:amd64 --to-oci-layout {layout}:v1', 'manifest delete -f --oci-layout {layout}:v1']) {
      expect((await runOn('theirs', '-empty', line)).code).toBe(0);
    }
    expect(JSON.parse(await readFile(join('theirs-empty', 'index.json'), 'utf8'))).toMatchObject({ manifests: null });
    expect(await runOurs(['cp', `${words['repo']}:amd64`, '--to-oci-layout', 'theirs-empty:v1'])).toMatchObject({
      code: 0,
    });
    expect(await theirs('repo', 'tags', '--oci-layout', 'theirs-empty')).toBe('v1\n');
  });
});
