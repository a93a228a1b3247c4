import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acrPromoter, runPeer } from './copy/programs.js';
import { startLocal, useWorkspace, type TestRegistry } from './copy/registries.js';
import { describeWithPeers } from '../support/peers.js';

const workspace = useWorkspace();

/** Values that YAML and JSON may write in more than one way. */
const ANNOTATIONS = {
  plain: 'text',
  empty: '',
  int: '12',
  float: '1.5',
  bool: 'true',
  yes: 'yes',
  y: 'y',
  null: 'null',
  tilde: '~',
  colon: 'a: b',
  url: 'https://x.y/z?q=1',
  json: '{"a":1}',
  hash: 'a #b',
  dash: '- x',
  star: '*x',
  lead: ' x',
  trail: 'x ',
  lines: 'a\nb',
  ended: 'a\nb\n',
  tab: 'a\tb',
  escape: 'a\u001b[31mb',
  quote: "it's",
  quotes: "'x'",
  less: '<a>&b',
  date: '2001-01-01',
  version: '1.2.3',
  hex: '0x1F',
  octal: '010',
  exponent: '1e3',
  infinity: '.inf',
  under: '1_000',
  sexagesimal: '1:30',
  merge: '<<',
  document: '--- a',
  backslash: 'a\\b',
  backtick: '`x`',
  digest: 'sha256:abc',
  on: 'On',
  return: 'a\rb',
  accents: 'héllo',
  emoji: '😀',
  'key: with colon': 'v',
  '[k]': 'v',
  '1': 'v',
  'org.opencontainers.image.created': '2001-01-01T00:00:00Z',
};

describeWithPeers('output of the command line, compared with oras', ['oras'], ([oras = '']) => {
  let registry: TestRegistry;
  let app = '';
  const theirs = (...argv: string[]): Promise<string> => runPeer(oras, argv, workspace.folder());

  beforeAll(async () => {
    registry = await startLocal(join(workspace.folder(), 'registry'));
    app = `${registry.name}/samples/app`;
    await writeFile(join(workspace.folder(), 'a.txt'), 'hello');
    await writeFile(join(workspace.folder(), 'annotations.json'), JSON.stringify({ $manifest: ANNOTATIONS }));
    await writeFile(join(workspace.folder(), 'config.json'), JSON.stringify({ os: 'linux', architecture: 'amd64' }));
    const config = 'config.json:application/vnd.oci.image.config.v1+json';
    await theirs('push', `${app}:amd`, '--config', config, '--artifact-type', 'test/image', 'a.txt');
    await writeFile(join(workspace.folder(), 'twin.txt'), 'hello');
    await theirs('push', `${app}:twins`, 'a.txt', 'twin.txt');
    await theirs('push', `${app}:artifact,v0`, '--artifact-type', 'test/artifact', 'a.txt');
    await theirs('manifest', 'index', 'create', `${app}:v1`, 'amd', 'artifact');
    const attach = ['attach', `${app}:v1`, 'a.txt', '--artifact-type'];
    await theirs(...attach, 'application/spdx+json', '-a', 'org.opencontainers.image.created=2001-01-01T00:00:00Z');
    await theirs(...attach, 'application/spdx+json', '-a', 'org.opencontainers.image.created=2002-01-01T00:00:00Z');
    await theirs(...attach, 'other/type', '-a', 'org.opencontainers.image.created=2003-01-01T00:00:00Z');
    await theirs('attach', `${app}:amd`, 'a.txt', '--artifact-type', 'a/b', '--annotation-file', 'annotations.json');
    await theirs('cp', '-r', `${app}:v1`, '--to-oci-layout', 'layout:v1');
    await theirs('cp', '-r', `${app}:amd`, '--to-oci-layout', 'layout:amd');
    await theirs('cp', '--platform', 'linux/amd64', `${app}:v1`, '--to-oci-layout', 'platform:amd');
  }, 60_000);
  afterAll(() => registry.close());

  test.each([
    'discover :v1',
    'discover :artifact',
    'discover :v1 --format json',
    'discover :amd --format json',
    'discover :v1 --artifact-type application/spdx+json',
    'discover :v1 --artifact-type nothing --format json',
    'discover :v1 --depth 1 --format json',
    'discover :v1 --format table',
    'discover :v1 --platform linux/amd64 --format json',
    'resolve :v1',
    'resolve -l :v1',
    'resolve :v1 --platform linux/amd64',
    'resolve :amd --platform linux/amd64',
    'manifest fetch :v1',
    'manifest fetch :v1 --pretty',
    'manifest fetch :v1 --descriptor',
    'manifest fetch :v1 --descriptor --pretty',
    'manifest fetch :v1 --descriptor --platform linux/amd64',
    'manifest fetch :v1 --format json',
    'manifest fetch :v1 --format json --platform linux/amd64',
    'manifest fetch :artifact --format json',
    'manifest fetch :amd -o -',
    'repo tags ',
    'repo tags  --format json',
    'repo tags  --last artifact',
    'repo tags  --exclude-digest-tags',
    'repo tags :artifact',
  ])('%s prints what oras prints', async (line) => {
    const argv = line.split(' ').map((word) => (word.startsWith(':') || word === '' ? `${app}${word}` : word));
    expect(await acrPromoter(...argv)).toBe(await theirs(...argv));
  });

  test('the tree of annotations has the same lines as that of oras, sorted', async () => {
    const lines = (tree: string): string[] =>
      tree
        .split('\n')
        .map((line) => line.replace(/^[│├└─ ]+/, ''))
        .sort();
    const [ours, other] = [await acrPromoter('discover', `${app}:amd`), await theirs('discover', `${app}:amd`)];
    expect(lines(ours)).toEqual(lines(other));
    const keys = ours
      .slice(ours.indexOf('[annotations]'))
      .split('\n')
      .flatMap((line) => /^[│├└─ ]*[├└]── (\w+):/.exec(line)?.[1] ?? []);
    expect(keys.length).toBeGreaterThan(30);
    expect(keys).toEqual(keys.toSorted());
  });

  test.each([
    'discover --oci-layout layout:amd --format json',
    'resolve --oci-layout layout:v1',
    'resolve -l --oci-layout layout:v1',
    'manifest fetch --oci-layout layout:v1',
    'manifest fetch --oci-layout layout:amd --descriptor',
    'manifest fetch --oci-layout layout:amd --format json',
    'manifest fetch --oci-layout layout:v1 --descriptor --platform linux/amd64',
    'manifest fetch --oci-layout platform:amd --descriptor --pretty',
    'repo tags --oci-layout layout',
  ])('%s prints what oras prints', async (line) => {
    const argv = line.split(' ');
    const there = argv.map((word) => (/^(?:layout|platform)\b/.test(word) ? join(workspace.folder(), word) : word));
    const ours = (await acrPromoter(...there)).replaceAll(`${workspace.folder()}/`, '');
    expect(ours).toBe(await theirs(...argv));
  });

  test('a manifest is written to a file, byte for byte', async () => {
    await acrPromoter('manifest', 'fetch', `${app}:v1`, '-o', join(workspace.folder(), 'ours.json'));
    await theirs('manifest', 'fetch', `${app}:v1`, '-o', 'theirs.json');
    const [ours, other] = await Promise.all(
      ['ours.json', 'theirs.json'].map((name) => readFile(join(workspace.folder(), name))),
    );
    expect(ours).toEqual(other);
  });

  // Each runs after those before it, on places of its own side.
  test.each([
    'cp :twins --to-oci-layout copies/SIDE:a',
    'cp :twins --to-oci-layout copies/SIDE:a',
    'cp :twins --to-oci-layout copies/SIDE:b',
    'cp :artifact --to-oci-layout copies/SIDE:c',
    'cp -r :v1 --to-oci-layout copies/SIDE:d',
    'cp -r :v1 --to-oci-layout copies/SIDE:d,e',
    'cp -r :amd --to-oci-layout copies/SIDE:f',
    'cp --from-oci-layout copies/SIDE:b REPO:a',
    'cp --from-oci-layout copies/SIDE:b REPO:a',
    'cp --from-oci-layout copies/SIDE:b REPO:b,c',
    'cp --from-oci-layout copies/SIDE:b REPO',
    'cp -r --from-oci-layout copies/SIDE:d REPO:d',
    'cp -r --from-oci-layout copies/SIDE:d REPO:d',
    'cp -r --from-oci-layout copies/SIDE:d REPO:e',
    'cp --from-oci-layout copies/SIDE:d REPO:f',
    'cp -r --from-oci-layout copies/SIDE:f REPO:g',
    'cp -r --from-oci-layout copies/SIDE:c REPO:h',
    'cp --concurrency -1 --from-oci-layout copies/SIDE:b REPO:i',
    'cp --concurrency 0 --platform= --from-oci-layout copies/SIDE:b REPO:k',
    'cp -r=true --from-oci-layout copies/SIDE:f REPO:j',
    'cp REPO:a REPO-mounted:a',
    'cp REPO:d REPO-index:a',
  ])('%s: the same lines, whatever their order', async (line) => {
    const words = (side: string): string[] =>
      line
        .replaceAll('SIDE', side)
        .replaceAll('REPO', `${registry.name}/copies/${side}`)
        .split(' ')
        .map((word) => (word.startsWith(':') ? `${app}${word}` : word))
        .map((word) => (word.startsWith('copies/') ? join(workspace.folder(), word) : word));
    const lines = (text: string, side: string): string[] =>
      text
        .replaceAll(side, 'side')
        // Which of two names of one blob comes first is chance.
        .replaceAll(/ (?:a|twin)\.txt$/gm, ' its name')
        .split('\n')
        .toSorted();
    const ours = await acrPromoter(...words('ours'));
    expect(lines(ours, 'ours')).toEqual(lines(await theirs(...words('theirs')), 'theirs'));
  });

  test('copy prints a line for each node and ends with the lines of oras', async () => {
    const ours = await acrPromoter('copy', '-r', `${app}:v1`, `${registry.name}/ours:a,b`);
    const other = await theirs('cp', '-r', `${app}:v1`, `${registry.name}/theirs:a,b`);
    const end = (text: string): string[] => text.replaceAll('/theirs:', '/ours:').trimEnd().split('\n').slice(-3);
    expect(end(ours)).toEqual(end(other));
    const nodes = (text: string): string[] =>
      text
        .split('\n')
        .filter((line) => /^(?:Copied {2}|Mounted )\w{12} /.test(line))
        .sort();
    expect(nodes(ours)).toEqual(nodes(other));
  });
});

describe('standard output that is closed or full', () => {
  const shell = (line: string): Promise<{ code: number; err: string }> =>
    new Promise((resolve) => {
      const command = `${process.execPath} bin/acr-promoter.mjs`;
      execFile('bash', ['-c', `set -o pipefail; ${line.replace('acr-promoter', command)}`], (error, _out, err) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, err }),
      );
    });

  test.each(['completion fish', '--help', 'discover --help'])('%s: a reader that has seen enough', async (line) => {
    expect(await shell(`acr-promoter ${line} | head -1`)).toEqual({ code: 0, err: '' });
  });

  test('a full device is reported', async () => {
    expect(await shell('acr-promoter completion bash >/dev/full')).toEqual({
      code: 1,
      err: 'Error: standard output cannot be written (ENOSPC) (FILE_UNWRITABLE)\n',
    });
  });
});
