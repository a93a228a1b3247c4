import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { treeOf } from '../support/artifacts.js';
import { describeWithPeers } from '../support/peers.js';

const COMMAND = resolve('bin/acr-promoter.mjs');
/** What ours pins, and oras is told by annotation. */
const CREATED = 'org.opencontainers.image.created=2026-01-01T00:00:00Z';
const EPOCH = String(Date.UTC(2026, 0, 1) / 1000);

interface Ran {
  code: number;
  out: string;
  err: string;
}

type Tool = 'oras' | 'ours';

describeWithPeers('push, pull and attach, compared with oras', ['oras'], ([oras = '']) => {
  let folder = '';
  let registry: RunningRegistry;
  /** The same, without the referrers API. */
  let older: RunningRegistry;
  let host = '';
  let olderHost = '';

  const run = (tool: Tool, args: readonly string[], cwd = join(folder, 'files')): Promise<Ran> =>
    new Promise((done) => {
      const [program, argv] = tool === 'oras' ? [oras, args] : [process.execPath, [COMMAND, ...args]];
      const env = { ...process.env, DOCKER_CONFIG: join(folder, 'docker'), HOME: folder, SOURCE_DATE_EPOCH: EPOCH };
      execFile(program, argv, { cwd, env }, (error, out, err) => {
        done({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, out, err });
      });
    });
  const must = async (tool: Tool, ...args: string[]): Promise<string> => {
    const { code, out, err } = await run(tool, args);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out;
  };
  /** Nodes are worked on at the same time: their order is anybody's. Names of tools and repositories are their own. */
  const comparable = (text: string): string[] =>
    text
      .replaceAll(/\b(?:oras|ours)(\d*)\b/g, 'tool$1')
      .replaceAll('acr-promoter', 'tool')
      .split('\n')
      .toSorted();
  const manifestOf = (reference: string): Promise<string> => must('oras', 'manifest', 'fetch', reference);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'oras-files-'));
    const files = join(folder, 'files');
    await mkdir(join(files, 'details', 'sub'), { recursive: true });
    await mkdir(join(files, 'details', 'empty'));
    await mkdir(join(folder, 'docker'));
    const write = (name: string, content: string | Buffer): Promise<void> => writeFile(join(files, name), content);
    await write('readme.md', 'Readme Content\n');
    await write('twin.md', 'Readme Content\n');
    await write('config.json', '{"a":1}\n');
    await write('with:colon', 'colon\n');
    await write('nothing', '');
    await write('large.bin', randomBytes(3_000_000));
    await write('details/readme-details.md', 'Detailed Content\n');
    await write('details/run.sh', '#!/bin/sh\n');
    await write('details/sub/ünïcode name', 'u\n');
    await write(`details/sub/${'long-'.repeat(30)}name`, 'l\n');
    await chmod(join(files, 'details', 'run.sh'), 0o755);
    await symlink('../readme-details.md', join(files, 'details', 'sub', 'link'));
    await write(
      'annotations.json',
      '{"$manifest":{"m":"1 <&>","org.opencontainers.image.created":"2026-01-01T00:00:00Z"},"$config":{"c":"2"},"readme.md":{"f":"3","org.opencontainers.image.title":"renamed.md"}}',
    );
    registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
    older = await startRegistry({
      dataDir: join(folder, 'older'),
      anonymous: true,
      quirks: { noReferrersApi: true },
    });
    host = `localhost:${registry.port}`;
    olderHost = `localhost:${older.port}`;
  });
  afterAll(async () => {
    await registry.close();
    await older.close();
    await rm(folder, { recursive: true, force: true });
  });

  describe('push', () => {
    test.each<[string, string[], { tags?: string; created?: string[] }?]>([
      ['a file without a type', ['readme.md']],
      ['a path that is not plain', ['./details/../readme.md']],
      ['types', ['--artifact-type', 'readme/example', './readme.md:application/markdown', 'large.bin:x']],
      ['no file', []],
      ['an empty file', ['nothing']],
      ['a name with a colon', ['with:colon:']],
      ['annotations', ['-a', 'b=<&>=', '-a', 'a=', 'readme.md']],
      ['an annotation file', ['--annotation-file', 'annotations.json', 'readme.md', './config.json'], { created: [] }],
      ['a config', ['--config', 'config.json', 'readme.md']],
      ['a config with a type', ['--config', 'config.json:application/x', '--artifact-type', 'a/b', 'readme.md']],
      ['a config with a colon and no type', ['--config', 'config.json:', 'readme.md']],
      ['a config and no file', ['--config', 'config.json']],
      ['a config with a type and no file', ['--config', 'config.json:x/y', '--artifact-type', 'a/b']],
      ['image spec 1.0 and no file', ['--image-spec', 'v1.0']],
      ['image spec 1.0', ['--image-spec', 'v1.0', 'readme.md']],
      ['image spec 1.0 with a type', ['--image-spec', 'v1.0', '--artifact-type', 'a/b', 'readme.md']],
      ['a platform', ['--artifact-platform', 'linux/arm/v5', 'readme.md']],
      ['two tags', ['readme.md'], { tags: ':v1,v2' }],
      ['an empty platform and type', ['--artifact-platform', '', '--artifact-type', '', 'readme.md']],
      ['an empty config', ['--config', '', '--export-manifest', '', 'readme.md']],
      ['a negative concurrency', ['--concurrency', '-1', 'readme.md']],
      ['an equals sign behind a letter', ['-a=b=c', 'readme.md']],
      ['no tag', ['readme.md'], { tags: '' }],
      ['json', ['--format', 'json', 'readme.md'], { tags: ':v2,v1' }],
      [
        'a template',
        ['--format', 'go-template={{.digest}}{{range .referenceAsTags}}{{println .}}{{end}}', 'readme.md'],
      ],
      ['a template apart', ['--format', 'go-template', '--template', '{{.artifactType}}', 'readme.md']],
    ])('%s: the same manifest and the same words', async (title, args, options = {}) => {
      const { tags = ':v1', created = ['-a', CREATED] } = options;
      const name = `push/${title.replaceAll(/[^a-z0-9]+/g, '-')}`;
      const theirs = await must('oras', 'push', `${host}/oras/${name}${tags}`, ...created, ...args);
      const ours = await must('ours', 'push', `${host}/ours/${name}${tags}`, ...args);
      expect(comparable(ours)).toEqual(comparable(theirs));
      if (tags !== '') {
        expect(await manifestOf(`${host}/ours/${name}:v1`)).toBe(await manifestOf(`${host}/oras/${name}:v1`));
      }
      // Again: what is there is said to be there.
      const theirsAgain = await must('oras', 'push', `${host}/oras/${name}${tags}`, ...created, ...args);
      const oursAgain = await must('ours', 'push', `${host}/ours/${name}${tags}`, ...args);
      expect(comparable(oursAgain)).toEqual(comparable(theirsAgain));
    });

    test('--export-manifest and a push into a layout give the same manifest as oras', async () => {
      for (const tool of ['oras', 'ours'] as const) {
        const created = tool === 'oras' ? ['-a', CREATED] : [];
        const exported = `../${tool}-exported.json`;
        await must(
          tool,
          'push',
          '--oci-layout',
          `../${tool}-layout:v1,v2`,
          '--export-manifest',
          exported,
          ...created,
          'readme.md',
        );
      }
      const [theirs, ours] = await Promise.all(
        ['oras', 'ours'].map((tool) => readFile(join(folder, `${tool}-exported.json`), 'utf8')),
      );
      expect(ours).toBe(theirs);
      expect(await must('oras', 'manifest', 'fetch', '--oci-layout', '../ours-layout:v2')).toBe(ours);
      const pull = async (tool: Tool, from: Tool): Promise<string> =>
        must(tool, 'pull', '--oci-layout', '-o', `../from-${from}-layout-by-${tool}`, `../${from}-layout:v1`);
      expect(comparable(await pull('ours', 'oras'))).toEqual(comparable(await pull('oras', 'oras')));
      expect(comparable(await pull('ours', 'ours'))).toEqual(comparable(await pull('oras', 'ours')));
    });
  });

  describe('folders', () => {
    test.each<[Tool, Tool]>([
      ['ours', 'oras'],
      ['oras', 'ours'],
    ])('what %s pushes, %s pulls, byte for byte', async (from, to) => {
      const reference = `${host}/folders/by-${from}:v1`;
      await must(from, 'push', reference, './readme.md:text/markdown', './details:x/y', 'large.bin', 'nothing');
      const out = join(folder, `folders-by-${from}`);
      await must(to, 'pull', '-o', out, reference);
      const { details, ...tree } = await treeOf(join(folder, 'files'));
      const pulled = await treeOf(out);
      expect(details).toBe('/');
      for (const [path, what] of Object.entries(pulled)) {
        if (path !== 'details') expect([path, what]).toEqual([path, tree[path]]);
      }
      expect(Object.keys(pulled).filter((path) => path.startsWith('details/'))).toEqual(
        Object.keys(tree).filter((path) => path.startsWith('details/')),
      );
      expect((await stat(join(out, 'details', 'run.sh'))).mode & 0o777).toBe(0o755);
    });

    test('the same files give the same digest, whenever they were written; with oras they do not', async () => {
      const digests = async (tool: Tool): Promise<string[]> => {
        const found: string[] = [];
        for (const day of [1, 2]) {
          await utimes(join(folder, 'files', 'details', 'run.sh'), day * 86_400, day * 86_400);
          const template = '--format=go-template={{.digest}}';
          const created = tool === 'oras' ? ['-a', CREATED] : [];
          found.push(await must(tool, 'push', `${host}/folders/again:${tool}`, template, ...created, 'details'));
        }
        return found;
      };
      const [ours, oursAgain] = await digests('ours');
      expect(oursAgain).toBe(ours);
      const [theirs, theirsAgain] = await digests('oras');
      expect(theirsAgain).not.toBe(theirs);
    });
  });

  describe('pull', () => {
    const push = (name: string, ...args: string[]): Promise<string> =>
      must('oras', 'push', `${host}/pull/${name}`, '-a', CREATED, ...args);
    /** Both pull into folders of the same name, so that even paths are alike. */
    const both = async (name: string, ...args: string[]): Promise<Record<Tool, Ran & { tree: object }>> => {
      const results = new Map<Tool, Ran & { tree: object }>();
      for (const tool of ['oras', 'ours'] as const) {
        const cwd = join(folder, 'pulled', tool, name.replaceAll(/\W/g, '-'));
        await mkdir(cwd, { recursive: true });
        const ran = await run(tool, ['pull', `${host}/pull/${name}`, '-o', 'out', ...args], cwd);
        results.set(tool, { ...ran, tree: await treeOf(cwd) });
      }
      const [theirs, ours] = [results.get('oras'), results.get('ours')];
      if (theirs === undefined || ours === undefined) throw new Error('not run');
      return { oras: theirs, ours };
    };
    const expectSame = async (name: string, ...args: string[]): Promise<void> => {
      const { oras: theirs, ours } = await both(name, ...args);
      expect([theirs.code, theirs.err, ours.code, ours.err]).toEqual([0, '', 0, '']);
      expect(comparable(ours.out)).toEqual(comparable(theirs.out));
      expect(ours.tree).toEqual(theirs.tree);
    };

    test('pulled files and folders are printed as oras prints them, as text, JSON and by a template', async () => {
      await push('some:v1', 'readme.md:text/markdown', 'details', 'config.json');
      await expectSame('some:v1');
      await expectSame('some:v1', '--format', 'json');
      await expectSame('some:v1', '--format', 'go-template={{range .files}}{{println .path .digest}}{{end}}');
    });

    test('-o after joined short options names the folder, and files keep their permissions', async () => {
      await push('over:v1', 'readme.md', 'details');
      await expectSame('over:v1', '-ko=joined');
      const kept = await Promise.all(
        (['oras', 'ours'] as const).map(async (tool) => {
          const cwd = join(folder, 'pulled', tool, 'over-v1', 'joined');
          const paths = [join(cwd, 'readme.md'), join(cwd, 'details', 'run.sh')];
          for (const path of paths) await chmod(path, 0o600);
          await must(tool, 'pull', `${host}/pull/over:v1`, `-o=${cwd}`);
          return Promise.all(paths.map(async (path) => (await stat(path)).mode & 0o777));
        }),
      );
      expect(kept).toEqual([
        [0o600, 0o600],
        [0o600, 0o600],
      ]);
    });

    test('the config is pulled if --config asks for it', async () => {
      await push('config:v1', '--config', 'config.json:x/y', '--artifact-type', 'a/b', 'readme.md');
      await expectSame('config:v1');
      await expectSame('config:v1', '--config', 'c.json');
      await expectSame('config:v1', '--config', 'c.json:x/y');
      await expectSame('config:v1', '--config', 'c.json:other/type');
      await expectSame('config:v1', '--config', 'c.json', '--format', 'json');
    });

    test('a layer without a name is skipped with a hint', async () => {
      await push('empty:v1');
      await expectSame('empty:v1');
      await must('oras', 'blob', 'push', `${host}/pull/unnamed`, 'readme.md');
      await writeFile(
        join(folder, 'files', 'unnamed.json'),
        (await manifestOf(`${host}/pull/empty:v1`)).replace(
          /"layers":\[.*?\]/,
          `"layers":[{"mediaType":"text/plain","digest":"sha256:2fdeac43552b71eb9db534137714c7bad86b53a93c56ca96d4850c9b41b777fc","size":15}]`,
        ),
      );
      await must('oras', 'push', `${host}/pull/unnamed:first`, 'readme.md');
      await must('oras', 'manifest', 'push', `${host}/pull/unnamed:v1`, 'unnamed.json');
      await expectSame('unnamed:v1');
    });

    test('a platform, a whole index and a subject are pulled as oras pulls them', async () => {
      await push('index:arm', '--artifact-platform', 'linux/arm/v7', 'readme.md');
      await push('index:amd', '--artifact-platform', 'linux/amd64', 'config.json', 'details');
      await must('oras', 'manifest', 'index', 'create', `${host}/pull/index:v1`, 'arm', 'amd');
      await expectSame('index:v1');
      await expectSame('index:v1', '--platform', 'linux/arm/v7');
      await expectSame('index:amd', '--platform', 'linux/amd64');
      const digest = await must(
        'oras',
        'attach',
        `${host}/pull/index:v1`,
        '--artifact-type',
        'a/b',
        '--format',
        'go-template={{.digest}}',
        'nothing',
      );
      await expectSame(`index@${digest}`);
      await expectSame(`index@${digest}`, '--include-subject');
    });

    test('what oras refuses is refused, and nothing is left behind', async () => {
      await push('outside:v1', '--disable-path-validation', '../files/readme.md', 'config.json');
      await push('some:v2', 'readme.md');
      const refused = async (name: string, ...args: string[]): Promise<Ran & { tree: object }> => {
        const { oras: theirs, ours } = await both(name, ...args);
        expect([theirs.code, ours.code]).toEqual([1, 1]);
        return ours;
      };
      expect((await refused('outside:v1')).tree).toEqual({});
      expect((await refused('some:nope')).tree).toEqual({});
      expect((await refused('some')).tree).toEqual({});
      await refused('some:v1', '--platform', 'linux/s390x');
      const { ours } = await both('some:v2');
      expect(ours.code).toBe(0);
      const kept = await both('some:v2', '--keep-old-files');
      expect([kept.oras.code, kept.ours.code, kept.ours.tree]).toEqual([1, 1, ours.tree]);
      expect(comparable(kept.ours.out)).toEqual(comparable(kept.oras.out));
      await expectSame('outside:v1', '--allow-path-traversal');
    });

    test('archives with paths outside the folder are refused, as by oras', async () => {
      await mkdir(join(folder, 'files', 'links'), { recursive: true });
      for (const target of ['/etc/passwd', '../readme.md', 'sub/../../readme.md']) {
        await rm(join(folder, 'files', 'links', 'l'), { force: true });
        await symlink(target, join(folder, 'files', 'links', 'l'));
        await push('links:v1', 'links');
        const { oras: theirs, ours } = await both('links:v1');
        expect([theirs.code, ours.code]).toEqual([1, 1]);
        expect(ours.err).toContain('ARCHIVE_UNSAFE');
        expect(ours.tree).toEqual({});
      }
    });
  });

  describe('attach', () => {
    /** The same artifact for each tool, in a repository of its own. */
    const subjects = async (where: string, name: string): Promise<void> => {
      for (const tool of ['oras', 'ours'] as const) {
        await must('oras', 'push', `${where}/${tool}/${name}:v1`, '-a', CREATED, 'readme.md');
      }
    };

    test.each(['with the API', 'without the API'])(
      '%s: the same manifests, the same words, the same tree',
      async (way) => {
        const where = way === 'with the API' ? host : olderHost;
        await subjects(where, 'attach');
        const attach = async (tool: Tool, reference: string, ...args: string[]): Promise<string> => {
          const created = tool === 'oras' ? ['-a', CREATED] : [];
          return must(tool, 'attach', `${where}/${tool}/attach${reference}`, ...created, ...args);
        };
        const same = async (reference: string, ...args: string[]): Promise<string> => {
          const ours = await attach('ours', reference, ...args);
          expect(comparable(ours)).toEqual(comparable(await attach('oras', reference, ...args)));
          return ours;
        };
        const first = await same(':v1', '--artifact-type', 'sbom/example', './twin.md:application/json');
        const digest = /^Digest: (\S+)$/m.exec(first)?.[1] ?? '';
        await same(`@${digest}`, '--artifact-type', 'signature/example', 'config.json:application/json');
        await same(':v1', '--artifact-type', 'a/b', '-a', 'key=value');
        await same(':v1', '--artifact-type', 'a/b', '--format', 'json', 'large.bin');
        await same(':v1', '--artifact-type', 'c/d', '--config', 'config.json:x/y', 'nothing');
        await same(`:v1@${digest}`, '--artifact-type', 'e/f', 'nothing');
        // oras draws annotations in any order, and the last of them with another line.
        const discover = async (tool: Tool, of: Tool): Promise<string[]> =>
          comparable((await must(tool, 'discover', `${where}/${of}/attach:v1`)).replaceAll(/[├└]── /g, '── '));
        const expected = await discover('oras', 'oras');
        expect(expected.length).toBeGreaterThan(20);
        expect(await discover('oras', 'ours')).toEqual(expected);
        expect(await discover('ours', 'ours')).toEqual(expected);
        expect(await discover('ours', 'oras')).toEqual(expected);
      },
    );

    test('attaching the same file twice makes one referrer; oras makes two', async () => {
      await subjects(host, 'twice');
      const count = async (tool: Tool): Promise<number> => {
        const reference = `${host}/${tool}/twice:v1`;
        for (const second of [0, 1]) {
          if (second === 1) await new Promise((done) => setTimeout(done, 1_100));
          await must(tool, 'attach', reference, '--artifact-type', 'a/b', 'config.json');
        }
        const { referrers } = JSON.parse(await must('oras', 'discover', '--format', 'json', reference)) as {
          referrers: unknown[];
        };
        return referrers.length;
      };
      expect(await count('ours')).toBe(1);
      expect(await count('oras')).toBe(2);
    });

    test('each forced way of keeping referrers gives the same list as oras', async () => {
      await subjects(host, 'forced');
      const tags = async (tool: Tool): Promise<string> => must('oras', 'repo', 'tags', `${host}/${tool}/forced`);
      for (const [spec, file] of [
        ['v1.1-referrers-api', 'config.json'],
        ['v1.1-referrers-tag', 'nothing'],
      ] as const) {
        for (const tool of ['oras', 'ours'] as const) {
          const created = tool === 'oras' ? ['-a', CREATED] : [];
          const args = ['--distribution-spec', spec, '--artifact-type', 'a/b', ...created, file];
          await must(tool, 'attach', `${host}/${tool}/forced:v1`, ...args);
        }
        expect(await tags('ours')).toBe(await tags('oras'));
      }
      expect(await tags('ours')).toMatch(/^sha256-[0-9a-f]{64}$/m);
    });

    test('in a layout each program discovers what the other has attached', async () => {
      for (const tool of ['oras', 'ours'] as const) {
        const layout = `../${tool}-attached`;
        await must('oras', 'push', '--oci-layout', `${layout}:v1`, '-a', CREATED, 'readme.md');
        const args = ['--artifact-type', 'a/b', ...(tool === 'oras' ? ['-a', CREATED] : []), 'config.json'];
        await must(tool, 'attach', '--oci-layout', `${layout}:v1`, ...args);
      }
      // oras writes the index's annotations of the subject into it, and so has another digest.
      const discover = async (tool: Tool, of: Tool): Promise<string> =>
        (await must(tool, 'discover', '--oci-layout', `../${of}-attached:v1`))
          .replace(`${of}-attached`, '')
          .replace(/── sha256:[0-9a-f]{64}$/m, '── its digest');
      const expected = await discover('oras', 'oras');
      expect(expected).toContain('a/b');
      expect(await discover('oras', 'ours')).toBe(expected);
      expect(await discover('ours', 'ours')).toBe(expected);
      expect(await discover('ours', 'oras')).toBe(expected);
    });

    test('of five attaches at the same time without the referrers API none is lost', async () => {
      await subjects(olderHost, 'crowd');
      const types = ['a/1', 'a/2', 'a/3', 'a/4', 'a/5'];
      const reference = `${olderHost}/ours/crowd:v1`;
      await Promise.all(types.map((type) => must('ours', 'attach', reference, '--artifact-type', type, 'readme.md')));
      const { referrers } = JSON.parse(await must('oras', 'discover', '--format', 'json', reference)) as {
        referrers: { artifactType: string }[];
      };
      expect(referrers.map(({ artifactType }) => artifactType).toSorted()).toEqual(types);
    });

    test('attach with the forced API on a registry without it warns that nobody finds the referrer', async () => {
      await subjects(olderHost, 'lost');
      const args = ['--distribution-spec', 'v1.1-referrers-api', '--artifact-type', 'a/b', 'readme.md'];
      expect((await run('oras', ['attach', `${olderHost}/oras/lost:v1`, ...args])).code).toBe(0);
      const ours = await run('ours', ['attach', `${olderHost}/ours/lost:v1`, ...args]);
      expect([ours.code, ours.err.includes('REFERRERS_API_UNSUPPORTED')]).toEqual([1, true]);
    });

    test('discover and copy with the forced API on a registry without it fail, as with oras', async () => {
      await subjects(olderHost, 'unlisted');
      const spec = 'v1.1-referrers-api';
      for (const tool of ['oras', 'ours'] as const) {
        const from = `${olderHost}/${tool}/unlisted:v1`;
        expect((await run(tool, ['discover', '--distribution-spec', spec, from])).code).toBe(1);
        const to = `${host}/${tool}/unlisted:v1`;
        expect((await run(tool, ['cp', '-r', '--from-distribution-spec', spec, from, to])).code).toBe(1);
      }
    });

    test('attach to one platform of an index writes the digest without a platform', async () => {
      const words: string[][] = [];
      for (const tool of ['oras', 'ours'] as const) {
        const repository = `${host}/${tool}/platform`;
        const created = ['-a', CREATED];
        await must('oras', 'push', `${repository}:arm`, ...created, '--artifact-platform', 'linux/arm/v7', 'readme.md');
        await must('oras', 'manifest', 'index', 'create', `${repository}:v1`, 'arm');
        const args = ['--artifact-type', 'a/b', '--platform', 'linux/arm/v7', '--export-manifest', `${tool}.json`];
        const out = await must(tool, 'attach', `${repository}:v1`, ...args, ...created, 'config.json');
        words.push(comparable(out).map((line) => line.replace(/^(Digest:|Uploaded|Uploading).*/, '$1')));
      }
      expect(words[1]).toEqual(words[0]);
      const [theirs, ours] = await Promise.all(
        ['oras', 'ours'].map((tool) => readFile(join(folder, 'files', `${tool}.json`), 'utf8')),
      );
      expect(theirs).toContain('"platform":{');
      expect(theirs).toContain(
        `"subject":${JSON.stringify((JSON.parse(ours ?? '') as { subject: object }).subject).slice(0, -1)}`,
      );
      expect(ours).toBe(
        theirs?.replace(/,"platform":\{[^}]*\}/, '').replace(/("size":582),"artifactType":"[^"]*"/, '$1'),
      );
    });
  });

  describe('wrong use', () => {
    const NOWHERE = 'localhost:1/a:v1';
    /** Said in the same three lines. */
    test.each([
      ['push'],
      ['pull'],
      ['pull', NOWHERE, NOWHERE],
      ['pull', 'localhost:1/a'],
      ['attach', '--artifact-type', 'a/b', NOWHERE],
      ['attach', '--artifact-type', 'a/b', 'localhost:1/a', 'readme.md'],
    ])('%s %s %s %s', async (...args) => {
      const [theirs, ours] = await Promise.all([run('oras', args), run('ours', args)]);
      expect([ours.code, ours.out]).toEqual([1, theirs.out]);
      // oras ends one of its sentences twice.
      expect(ours.err.replaceAll('acr-promoter', 'oras')).toBe(theirs.err.replace('attaching..', 'attaching.'));
    });

    test.each([
      ['attach', NOWHERE, 'readme.md'],
      ['push', NOWHERE, '/etc/passwd'],
      ['push', NOWHERE, 'missing.md'],
      ['push', NOWHERE, 'readme.md', 'readme.md'],
      ['push', NOWHERE, ':text/plain'],
      ['push', NOWHERE, '-a', 'nothing', 'readme.md'],
      ['push', NOWHERE, '-a', 'a=1', '-a', 'a=2', 'readme.md'],
      ['push', NOWHERE, '-a', 'org.opencontainers.image.created=yesterday', 'readme.md'],
      ['push', NOWHERE, '-a', 'a=1', '--annotation-file', 'annotations.json', 'readme.md'],
      ['push', NOWHERE, '--annotation-file', 'readme.md', 'readme.md'],
      ['push', NOWHERE, '--artifact-type', 'no-type', 'readme.md'],
      ['push', NOWHERE, '--artifact-type', '', 'readme.md'],
      ['push', NOWHERE, '--config', 'missing.json', 'readme.md'],
      ['push', NOWHERE, '--config', 'config.json', '--artifact-platform', 'linux/amd64', 'readme.md'],
      ['push', NOWHERE, '--config', 'config.json', '--image-spec', 'v1.1', 'readme.md'],
      ['push', NOWHERE, '--image-spec', 'v2', 'readme.md'],
      ['push', NOWHERE, '--concurrency', 'many', 'readme.md'],
      ['push', NOWHERE, '--format', 'xml', 'readme.md'],
      ['push', NOWHERE, '--format', 'go-template', 'readme.md'],
      ['push', NOWHERE, '--format', 'json', '--template', 'x', 'readme.md'],
      ['push', 'localhost:1/Upper:v1', 'readme.md'],
      ['push', NOWHERE, '--no-such-flag'],
      ['pull', NOWHERE],
      ['pull', NOWHERE, '--format', 'xml'],
    ])('%s %s %s %s %s', async (...args) => {
      const [theirs, ours] = await Promise.all([run('oras', args), run('ours', args)]);
      expect([ours.code, comparable(ours.out)]).toEqual([theirs.code, comparable(theirs.out)]);
      expect(ours.code).toBe(1);
      expect(ours.err).toMatch(/^Error: /);
    });
  });
});
