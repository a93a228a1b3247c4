import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { DIFFERENCES } from './oras/differences.js';
import { FILE_LINES } from './oras/file-lines.js';
import { helpedCommand, runOurs, runProgram, sortTagged, splitLine, type Ran } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

/** Each is run by oras on one repository and by us on another that began the same; in this order. `<file` is standard input. */
const LINES = [
  // tag
  'tag {repo}:amd64 v2 v3',
  'tag {repo}@{arm64} v8',
  'tag --concurrency 1 {repo}:amd64 v4 v5',
  'tag --concurrency 0 {repo}:amd64 v6',
  'tag {repo} v9',
  'tag {repo}:amd64',
  'tag',
  'tag {repo}:nope v2',
  'tag {repo}:amd64 v4,v5',
  'tag {repo}:amd64 b@d',
  'tag {repo}:amd64 {amd64}',
  'tag nohost v1',
  'tag {repo}X:v1 v2',
  'tag --oci-layout {layout}:v1 v2 v3',
  'tag --concurrency -1 {repo}:amd64 v10',
  'tag --concurrency "" {repo}:amd64 v11',
  'tag {repo}:amd64 v12 v12',
  'tag {repo}:amd64 {repo}:v13 v14',
  'tag {repo}:amd64 ""',
  // manifest fetch-config
  'manifest fetch-config {repo}:amd64',
  'manifest get-config {repo}:artifact',
  'manifest fetch-config --descriptor {repo}:artifact',
  'manifest fetch-config --descriptor --pretty {repo}:artifact',
  'manifest fetch-config --pretty {repo}:amd64',
  'manifest fetch-config -o {out}/config.json {repo}:amd64',
  'manifest fetch-config -o {out}/config2.json --descriptor {repo}:amd64',
  'manifest fetch-config -o - {repo}:amd64',
  'manifest fetch-config -o - --descriptor {repo}:amd64',
  'manifest fetch-config {repo}',
  'manifest fetch-config',
  'manifest fetch-config {repo}:nope',
  'manifest fetch-config --oci-layout {layout}:v1',
  'manifest fetch-config --pretty {repo}:newline',
  // manifest index create
  'manifest index create {repo}:idx amd64 arm64 arm',
  'manifest index create {repo} amd64',
  'manifest index create {repo}:t1,t2 amd64 odd {arm}',
  'manifest index create {repo}:notjson notjson',
  'manifest index create {repo}:artifacts artifact oddtypes halfplatform',
  'manifest index create {repo}:nested idx amd64',
  'manifest index create {repo}:twice amd64 arm64 amd64',
  'manifest index create {repo}:empty',
  'manifest index create {repo}:x nope',
  'manifest index create',
  'manifest index create --annotation a=b --annotation "c=<d>" --artifact-type x/y {repo}:ann amd64',
  'manifest index create -a bad {repo}:ann amd64',
  'manifest index create -a a=1 -a a=2 {repo}:ann amd64',
  'manifest index create --artifact-type bad {repo}:x amd64',
  'manifest index create -o - {repo}:zz amd64',
  'manifest index create -o - --pretty {repo}:zz amd64',
  'manifest index create -o {out}/index.json {repo}:zz amd64',
  'manifest index create {repo}@ amd64',
  'manifest index pack -o - {repo}',
  'manifest index create --oci-layout {layout}:idx v1',
  'manifest index create {repo}:named {repo}:amd64 {repo}@{arm64} arm',
  'manifest index create {repo}:named {host}/samples/other:amd64',
  'manifest index create {repo}:unwritten -o "" amd64',
  'manifest index create --oci-layout {archive}:x v1',
  'resolve {repo}:zz',
  'manifest fetch-config {repo}:idx',
  'manifest fetch-config --platform linux/arm64 {repo}:idx',
  'manifest fetch-config --platform linux/s390x {repo}:idx',
  // manifest index update
  'manifest index update {repo}:idx --remove {amd64}',
  'manifest index update {repo}:idx --add amd64 --tag i2 --tag i3',
  'manifest index update {repo}@{idx} --merge ann --remove {arm64} --tag q',
  'manifest index update {repo}@{idx} --add odd',
  'manifest index update {repo}:i2 -o - --merge ann --add {arm64} --remove {amd64}',
  'manifest index update {repo}:i2 -o {out}/updated.json --add amd64',
  'manifest index update {repo}:twice -o - --remove {amd64}',
  'manifest index update {repo}:twice -o - --pretty --remove {amd64} --remove {arm64}',
  'manifest index update {repo}:ann --artifact-type new/x --add arm',
  'manifest index update {repo}:ann --artifact-type ""',
  'manifest index update {repo}:custom --add arm64',
  'manifest index update {repo}:list --add arm64',
  'manifest index update --oci-layout {layout}:idx --add v1',
  'manifest index update {repo}:idx',
  'manifest index update {repo}:idx --tag only',
  'manifest index update {repo} --add amd64',
  'manifest index update',
  'manifest index update {repo}:idx --remove amd64',
  'manifest index update {repo}:idx --remove {none}',
  'manifest index update {repo}:amd64 --add arm',
  'manifest index update {repo}:idx --merge amd64',
  'manifest index update {repo}:idx --merge nope',
  'manifest index update {repo}:idx --add nope',
  'manifest index update {repo}:idx --artifact-type bad',
  'manifest index update {repo}:idx -o {out}/x.json --add arm --tag t',
  'manifest index update {repo}:idx --add amd64 --tag bad!tag',
  'manifest index update {repo}:named --add {repo}:odd --merge {repo}:ann --tag {repo}:named2 --tag named3',
  'manifest index update {repo}:named --remove {repo}@{amd64}',
  // manifest push
  'manifest push {repo}:p1 {folder}/amd64.json',
  'manifest push {repo}:p1 {folder}/amd64.json',
  'manifest push {repo}:p1,p2,p3 {folder}/amd64.json',
  'manifest push {repo} {folder}/amd64.json',
  'manifest push {repo}@{amd64} {folder}/amd64.json',
  'manifest push {repo}@{arm64} {folder}/amd64.json',
  'manifest push {repo}@{amd64},x {folder}/amd64.json',
  'manifest push --descriptor {repo}:p4,p5 {folder}/amd64.json',
  'manifest push --descriptor --pretty {repo}:p1 {folder}/amd64.json',
  'manifest push {repo}:p6 - <amd64.json',
  'manifest push {repo}:p7 {folder}/untyped.json',
  'manifest push --media-type application/vnd.oci.image.manifest.v1+json {repo}:p7 {folder}/untyped.json',
  'manifest push --media-type application/vnd.docker.distribution.manifest.v2+json {repo}:p8 {folder}/amd64.json',
  'manifest push {repo}:p9 {folder}/blob.txt',
  'manifest push {repo}:p9 {folder}/absent.json',
  'manifest push {repo}:p9',
  'manifest push',
  'manifest push -u name --password-stdin {repo}:p9 - <amd64.json',
  'manifest push {repo}-new:v1 {folder}/amd64.json',
  'manifest push "{repo}:bad tag" {folder}/amd64.json',
  'manifest push --oci-layout {layout}:pushed {folder}/empty-index.json',
  'manifest push --oci-layout {archive}:pushed {folder}/empty-index.json',
  'manifest push --media-type "" --concurrency -1 {repo}:p10 {folder}/amd64.json',
  'manifest push {repo}: {folder}/amd64.json',
  // manifest fetch
  'manifest fetch --media-type application/vnd.oci.image.manifest.v1+json {repo}:amd64',
  'manifest fetch --media-type x/y,application/vnd.oci.image.manifest.v1+json {repo}@{amd64}',
  'manifest fetch --media-type application/vnd.oci.image.index.v1+json --platform linux/arm64 --descriptor {repo}:idx',
  'manifest fetch --media-type application/vnd.oci.image.index.v1+json --media-type x/y --descriptor {repo}:ann',
  'manifest fetch --media-type x/y --oci-layout {layout}:v1',
  'manifest fetch --media-type {repo}:amd64',
  'manifest fetch --descriptor=true --pretty=false {repo}:amd64',
  'manifest fetch --descriptor=maybe {repo}:amd64',
  'manifest fetch --descriptor --oci-layout {layout}:v1',
  'manifest fetch --format text {repo}:amd64',
  'manifest fetch --format text --descriptor {repo}:amd64',
  'manifest fetch --format text --pretty {repo}:amd64',
  'manifest fetch -o "" {repo}:amd64',
  'manifest fetch -o={out}/equals.json {repo}:amd64',
  'manifest fetch --descriptor --oci-layout {archive}:v1',
  // what all verbs on one target have in common
  'resolve -l=true {repo}:amd64',
  'resolve -l=false {repo}:amd64',
  'resolve -l=maybe {repo}:amd64',
  'resolve --platform "" {repo}:amd64',
  'resolve --platform windows/amd64 {repo}:odd',
  'resolve --oci-layout-path {layout} --oci-layout v1',
  'resolve --oci-layout-path {layout} v1',
  'resolve --oci-layout-path {archive} v1',
  'resolve --oci-layout-path "" {repo}:amd64',
  'resolve --ca-file "" -u "" -p "" {repo}:amd64',
  'resolve --registry-config {folder}/blob.txt {repo}:amd64',
  'tag --oci-layout {archive}:v1 v2',
  'discover --artifact-type "" {repo}:amd64',
  'discover --distribution-spec "" {repo}:amd64',
  'discover --depth "" {repo}:amd64',
  'manifest fetch -v {repo}:amd64',
  'resolve --verbose {repo}:amd64',
  'tag -v {repo}:amd64 verbose',
  'discover -v {repo}:amd64',
  'manifest fetch-config -v {repo}:amd64',
  // repo ls is below: it is about all repositories
  // blob
  'blob push {repo} {folder}/blob.txt',
  'blob push {repo} {folder}/blob.txt',
  'blob push --descriptor {repo} {folder}/blob.txt',
  'blob push --descriptor --pretty --media-type x/y {repo} {folder}/blob.txt',
  'blob push {repo}@{blob} {folder}/blob.txt',
  'blob push {repo}@{none} {folder}/blob.txt',
  'blob push {repo} /dev/null',
  'blob push {repo} {folder}/absent.txt',
  'blob push {repo}',
  'blob push',
  'blob push {repo}:v1 {folder}/blob.txt',
  'blob push --size 3 {repo} {folder}/blob.txt',
  'blob push --size 10 {repo} {folder}/blob.txt',
  'blob push {repo} {folder}/nothing.txt',
  'blob push --size -1 {repo} {folder}/nothing.txt',
  'blob push --size "" {repo} {folder}/nothing.txt',
  'blob push {repo} - <other.txt',
  'blob push --size 10 {repo} - <other.txt',
  'blob push {repo}@{other} - <other.txt',
  'blob push --size 11 {repo}@{other} - <other.txt',
  'blob push --size 10 {repo}@{other} - <other.txt',
  'blob push --size 9 {repo}@{blob} - <blob.txt',
  'blob push --oci-layout {layout} {folder}/blob.txt',
  'blob fetch -o - {repo}@{blob}',
  'blob get -o {out}/blob {repo}@{blob}',
  'blob fetch --descriptor {repo}@{blob}',
  'blob fetch --descriptor --pretty {repo}@{blob}',
  'blob fetch --descriptor -o {out}/blob2 {repo}@{blob}',
  'blob fetch --oci-layout -o - {layout}@{blob}',
  'blob fetch --oci-layout --descriptor {layout}@{blob}',
  'blob fetch {repo}@{blob}',
  'blob fetch --descriptor -o - {repo}@{blob}',
  'blob fetch -o - {repo}:v1',
  'blob fetch -o - {repo}',
  'blob fetch -o - {repo}@{none}',
  'blob fetch -o /absent/folder/blob {repo}@{blob}',
  'blob fetch',
  'blob delete {repo}@{blob}',
  'blob delete {repo}@{blob} <no',
  'blob delete {repo}@{blob} <yes',
  'blob delete -f {repo}@{blob}',
  'blob rm {repo}@{blob}',
  'blob delete -f --descriptor {repo}@{blob}',
  'blob delete --descriptor {repo}@{other}',
  'blob delete -f --descriptor {repo}@{other}',
  'blob delete -f {repo}:v1',
  'blob delete -f {repo}',
  'blob delete -f --oci-layout {layout}@{none}',
  'blob delete -f --oci-layout {out}/none@{none}',
  'blob delete',
  // manifest delete
  'manifest delete {repo}:t1',
  'manifest delete {repo}:t1 <no',
  'manifest delete {repo}:t1 <y',
  'manifest delete {repo}:artifacts <Y',
  'manifest rm {repo}:nested <yes',
  'manifest delete {repo}:t1',
  'manifest delete -f {repo}:t1',
  'manifest delete -f {repo}-absent:t1',
  'manifest delete -f --descriptor {repo}:t1',
  'manifest delete --descriptor {repo}:twice',
  'manifest delete -f --descriptor {repo}:twice',
  'manifest delete -f --descriptor --pretty {repo}:notjson',
  'manifest delete -f {repo}@{idx}',
  'manifest delete -f {repo}@{idx}',
  'manifest delete {repo}@{idx}',
  'manifest delete -f {repo}',
  'manifest delete -f --oci-layout {layout}:nope',
  'manifest delete --oci-layout {layout}:idx <y',
  'manifest delete -f --oci-layout {archive}:v1',
  'manifest delete -f --oci-layout {out}/nothing:v1',
  'manifest delete',
  // the rest
  'completion nonsense',
  'completion',
  'version',
  'manifest',
  'manifest index',
  'blob',
  'repo',
  'blob push --nonsense',
  'manifest nonsense',
  'manifest index nonsense',
  'blob nonsense',
  'repo nonsense',
  'version extra',
  'version -v',
  'logout -v x',
  'help',
  'help manifest',
  'help manifest fetch',
  'help manifest index create',
  'help manifest nonsense',
  'help manifest fetch extra',
  'help repository list',
  'help cp',
  'help nonsense',
  'help --nonsense',
  'manifest fetch --help',
  'nonsense --help',
];

const CONFIGS: Record<string, [config: string, type: string]> = {
  amd64: ['{"os":"linux","architecture":"amd64","config":{}}', 'application/vnd.oci.image.config.v1+json'],
  arm64: ['{"os":"linux","architecture":"arm64"}', 'application/vnd.oci.image.config.v1+json'],
  arm: [
    '{"os":"linux","architecture":"arm","variant":"v7","os.version":"1","os.features":["x"]}',
    'application/vnd.oci.image.config.v1+json',
  ],
  odd: ['{"os":"windows","architecture":"amd64"}', 'odd/type'],
  notjson: ['no json', 'application/vnd.oci.image.config.v1+json'],
  oddtypes: ['{"os":"linux","architecture":5}', 'odd/type'],
  halfplatform: ['{"os":"linux"}', 'odd/type'],
  newline: ['{"os":"linux"}\n', 'odd/type'],
};
const FILES: Record<string, string> = {
  'blob.txt': 'hello blob',
  'other.txt': 'other blob',
  'nothing.txt': '',
  'layer.txt': 'a layer',
  'empty-index.json':
    '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"a":"1"}}',
  no: 'n\n',
  y: 'y\n',
  Y: 'Y\n',
  yes: 'yes\n',
};
const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const WORDS: Record<string, string> = {
  none: `sha256:${'0'.repeat(64)}`,
  blob: sha256('hello blob'),
  other: sha256('other blob'),
};

describeWithPeers('manifests, tags, repositories and blobs, compared with oras', ['oras'], ([oras = '']) => {
  let folder = '';
  let registry: RunningRegistry;
  let host = '';
  const env = () => ({ HOME: folder, DOCKER_CONFIG: join(folder, 'docker') });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'oras-manifests-'));
    registry = await startRegistry({ dataDir: join(folder, 'data'), anonymous: true, users: [] });
    host = `localhost:${registry.port}`;
    for (const [name, content] of Object.entries(FILES)) await writeFile(join(folder, name), content);
    for (const side of ['theirs', 'ours']) {
      await mkdir(join(folder, side));
      await prepare(side);
    }
  }, 60_000);
  afterAll(async () => {
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  const theirs = async (...argv: string[]): Promise<string> => {
    const { code, out, err } = await runProgram(oras, argv, { cwd: folder, env: env() });
    if (code !== 0) throw new Error(err);
    return out;
  };

  /** Pushes what the lines work on; annotations of the same time make the same digests. */
  async function prepare(side: string): Promise<void> {
    const repo = `${host}/samples/${side}`;
    const created = ['--annotation', 'org.opencontainers.image.created=2026-01-01T00:00:00Z'];
    for (const [tag, [config, type]] of Object.entries(CONFIGS)) {
      await writeFile(join(folder, 'config.json'), config);
      await theirs('push', `${repo}:${tag}`, '--config', `config.json:${type}`, ...created, 'layer.txt');
      WORDS[tag] = (await theirs('resolve', `${repo}:${tag}`)).trim();
    }
    await theirs('push', `${repo}:artifact`, '--artifact-type', 'test/artifact', ...created, 'layer.txt');
    await theirs('cp', `${repo}:amd64`, '--to-oci-layout', `${side}/layout:v1`);
    await promisify(execFile)('tar', ['cf', join(folder, side, 'layout.tar'), '-C', join(folder, side, 'layout'), '.']);
    await writeFile(join(folder, 'amd64.json'), await theirs('manifest', 'fetch', `${repo}:amd64`));
    const { amd64 = '', arm64 = '' } = WORDS;
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const untyped = {
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 },
      layers: [],
    };
    await writeFile(join(folder, 'untyped.json'), JSON.stringify(untyped));
    const size = (await readFile(join(folder, 'amd64.json'))).length;
    const custom = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      artifactType: 'i/i',
      manifests: [
        {
          mediaType,
          digest: amd64,
          size,
          annotations: { z: '1', a: '2' },
          urls: ['http://localhost/x'],
          platform: { os: 'linux', architecture: 'q', 'os.features': [] },
          unknown: 1,
        },
      ],
      subject: { mediaType, digest: arm64, size },
      annotations: { y: '1', b: '<' },
      unknown: 2,
    };
    await writeFile(join(folder, 'custom.json'), JSON.stringify(custom));
    await theirs('manifest', 'push', `${repo}:custom`, 'custom.json');
    const list = {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json',
      manifests: [{ mediaType, digest: amd64, size, platform: { architecture: 'amd64', os: 'linux' } }],
    };
    await writeFile(join(folder, 'list.json'), JSON.stringify(list));
    await theirs('manifest', 'push', `${repo}:list`, 'list.json');
    const indexOf = (names: string[]): string[] => names.map((name) => WORDS[name] ?? '');
    WORDS.idx = sha256(
      await theirs('manifest', 'index', 'create', '-o', '-', repo, ...indexOf(['amd64', 'arm64', 'arm'])),
    );
  }

  async function runOn(side: 'theirs' | 'ours', line: string): Promise<Ran> {
    const [, command = line, file] = / <(\S+)$/.test(line) ? (/^(.*) <(\S+)$/.exec(line) ?? []) : [line, line];
    const words: Record<string, string> = {
      ...WORDS,
      repo: `${host}/samples/${side}`,
      host,
      folder,
      out: join(folder, side),
      layout: join(folder, side, 'layout'),
      archive: join(folder, side, 'layout.tar'),
    };
    const argv = splitLine(command).map((word) =>
      word.replaceAll(/\{(\w+)\}/g, (all, name: string) => words[name] ?? all),
    );
    const input = file === undefined ? '' : await readFile(join(folder, file), 'utf8');
    const ran =
      side === 'theirs'
        ? await runProgram(oras, argv, { cwd: folder, env: env(), input })
        : await runOurs(argv, { env: env(), input });
    return { ...ran, out: sortTagged(ran.out).replaceAll(`/${side}`, '/{side}') };
  }

  describe.each(LINES.map((line, index) => ({ line, index })))('$index: $line', ({ line }) => {
    test('each line prints the same and exits the same as oras', async () => {
      const [other, own] = [await runOn('theirs', line), await runOn('ours', line)];
      const difference = DIFFERENCES.find((each) => each.line === line);
      const helped = helpedCommand(other.out);
      const codes = [own.code, other.code];
      if (difference?.differs.includes('exit code') === true) expect(own.code).not.toBe(other.code);
      else expect(codes).toEqual([other.code, other.code]);
      if (difference?.differs.includes('standard output') === true) expect(own.out).not.toBe(other.out);
      else if (helped !== undefined) {
        const words = helpedCommand(own.out)?.map((names, at) =>
          names.includes(helped[at]?.[0] ?? '') ? helped[at] : names,
        );
        expect(words).toEqual(helped);
      } else expect(own.out).toBe(other.out);
      // A wrong number of arguments is said in three lines.
      if (/requires (?:exactly|at least) \d/.test(other.err)) {
        expect(own.err.split('\n')).toHaveLength(4);
        const [first, usage, advice] = own.err.split('\n');
        expect([first, usage, advice]).toEqual([
          expect.stringContaining(
            other.err.replace(/^Error: "oras ([^"]*)" requires (\D*\d+)[^]*$/, '"acr-promoter $1" requires $2'),
          ),
          expect.stringMatching(/^Usage: acr-promoter /),
          expect.stringMatching(/^Please specify .* Run "acr-promoter .* -h" for more options and examples$/),
        ]);
      }
    });
  });

  test('every listed difference belongs to a line that is tried', () => {
    const tried = new Set([...LINES, ...FILE_LINES]);
    expect(DIFFERENCES.filter(({ line }) => !line.startsWith('login ') && !tried.has(line))).toEqual([]);
  });

  test('both repositories then hold the same bytes', async () => {
    const tagsOf = async (side: string): Promise<string[]> =>
      (await theirs('repo', 'tags', `${host}/samples/${side}`)).trim().split('\n');
    const tags = await tagsOf('theirs');
    expect(tags.length).toBeGreaterThan(20);
    // What oras does after it has said that it can't.
    expect(await tagsOf('ours')).toEqual(tags.filter((tag) => tag !== 'x'));
    for (const tag of tags.filter((each) => each !== 'x' && each !== 'idx')) {
      const [other, own] = [`${host}/samples/theirs:${tag}`, `${host}/samples/ours:${tag}`];
      expect(`${tag} ${await theirs('manifest', 'fetch', own)}`).toBe(
        `${tag} ${await theirs('manifest', 'fetch', other)}`,
      );
    }
    const layoutTags = (side: string) => theirs('repo', 'tags', '--oci-layout', join(side, 'layout'));
    expect(await layoutTags('ours')).toBe(await layoutTags('theirs'));
    for (const tag of (await layoutTags('ours')).trim().split('\n')) {
      const fetch = (side: string) => theirs('manifest', 'fetch', '--oci-layout', `${join(side, 'layout')}:${tag}`);
      expect(`${tag} ${await fetch('ours')}`).toBe(`${tag} ${await fetch('theirs')}`);
    }
    for (const name of ['config.json', 'config2.json', 'index.json', 'updated.json', 'blob', 'blob2', 'equals.json']) {
      const read = (side: string): Promise<string> => readFile(join(folder, side, name), 'utf8');
      expect(`${name} ${await read('ours')}`).toBe(`${name} ${await read('theirs')}`);
    }
  });

  describe('repo ls', () => {
    beforeAll(async () => {
      for (const name of ['ns/one', 'ns/two/x', 'nsx/three']) {
        await theirs('cp', `${host}/samples/theirs:amd64`, `${host}/${name}:v1`);
      }
    });

    test.each([
      '{host}',
      '{host}/ns',
      '{host}/ns/',
      '{host}/n',
      '{host}/ns/two',
      '{host}/ns/one',
      '--last ns/one {host}',
      '--last ns/one {host}/ns',
      '--last one {host}/ns',
      '--format json {host}',
      '--format json {host}/ns',
      '--format json {host}/absent',
      '--format go-template={{.registry}} {host}/ns',
      "--format go-template --template '{{range .repositories}}{{println .}}{{end}}' {host}",
      '--format go-template {host}',
      '--template x {host}',
      '--format table {host}',
      '{host}/NS',
      '{host}/ns:v1',
      'localhost:1',
      '"bad host"',
      '',
      '{host} {host}',
    ])('%s prints what oras prints', async (line) => {
      const argv = splitLine(line.replaceAll('{host}', host));
      for (const verb of ['ls', 'list']) {
        const other = await runProgram(oras, ['repo', verb, ...argv], { env: env() });
        const own = await runOurs(['repo', verb, ...argv], { env: env() });
        expect({ out: own.out, code: own.code }).toEqual({ out: other.out, code: other.code });
      }
    });
  });
});
