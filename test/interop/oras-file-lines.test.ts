import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { tarOf } from '../support/artifacts.js';
import { DIFFERENCES } from './oras/differences.js';
import { FILE_LINES } from './oras/file-lines.js';
import { runOurs, runProgram, splitLine, type Ran } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

const FILES: Record<string, string | Buffer> = {
  'nolist/index.json': '{}',
  'nolist/oci-layout': '{"imageLayoutVersion":"1.0.0"}',
  'garbage.json': '{"garbage.tgz":{"io.deis.oras.content.unpack":"true","org.opencontainers.image.title":"g"}}',
  'a.txt': 'a',
  'b.txt': 'b',
  'd/x': 'x',
  'full/x': '',
  'other-full/x': '',
  'sub/x': '',
  'unmarked/index.json': '{"schemaVersion":2,"manifests":[]}',
  'empty-index.json': '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
};

describeWithPeers('files, folders and layouts, compared with oras', ['oras'], ([oras = '']) => {
  let folder = '';
  let registry: RunningRegistry;
  const home = process.cwd();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'oras-file-lines-'));
    registry = await startRegistry({ dataDir: join(folder, 'data'), anonymous: true, users: [] });
    const archive = await tarOf([{ name: 'g/f', body: 'x' }]);
    FILES['garbage.tgz'] = Buffer.concat([gzipSync(archive), Buffer.from('garbage')]);
    for (const side of ['theirs', 'ours']) {
      for (const [name, content] of Object.entries(FILES)) {
        await mkdir(dirname(join(folder, side, name)), { recursive: true });
        await writeFile(join(folder, side, name), content);
      }
    }
  });
  afterAll(async () => {
    process.chdir(home);
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Digests are of folders and times that are each side's own, and nodes are worked on at the same time. */
  const comparable = (text: string): string[] =>
    text
      .replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:…')
      .replaceAll(/(?<=^\w+ +)[0-9a-f]{12}/gm, '…')
      .replaceAll(/\b(?:theirs|ours)\b/g, '{side}')
      .split('\n')
      .toSorted();

  async function runOn(side: 'theirs' | 'ours', line: string): Promise<Ran & { files: string[] }> {
    const here = join(folder, side);
    const repo = `localhost:${registry.port}/samples/${side}`;
    const words: Record<string, string> = { repo, side, port: String(registry.port), none: `sha256:${'0'.repeat(64)}` };
    const argv = splitLine(line).map((word) =>
      word.replaceAll(/\{(\w+)\}/g, (all, name: string) => words[name] ?? all),
    );
    const env = { HOME: folder, DOCKER_CONFIG: join(folder, 'docker') };
    process.chdir(here);
    const ran = side === 'theirs' ? await runProgram(oras, argv, { cwd: here, env }) : await runOurs(argv, { env });
    const files = (await readdir(here, { recursive: true })).filter((name) => !/blobs\/|ingest/.test(name));
    return { ...ran, files: files.toSorted() };
  }

  describe.each(FILE_LINES.map((line, index) => ({ line, index })))('$index: $line', ({ line }) => {
    test('each line prints the same, exits the same and leaves the same files as oras', async () => {
      const [other, own] = [await runOn('theirs', line), await runOn('ours', line)];
      const difference = DIFFERENCES.find((each) => each.line === line);
      if (difference?.differs.includes('exit code') === true) expect(own.code).not.toBe(other.code);
      else
        expect([own.code, own.err]).toEqual([
          other.code,
          other.code === 0 ? other.err : expect.stringMatching(/^Error: /),
        ]);
      if (difference?.differs.includes('standard output') === true) expect(own.out).not.toBe(other.out);
      else expect(comparable(own.out)).toEqual(comparable(other.out));
      if (difference === undefined) expect(own.files).toEqual(other.files);
    });
  });
});
