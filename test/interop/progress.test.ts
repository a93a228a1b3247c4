import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { runProgram } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';

// Progress bars on a pseudo-terminal, which `script` makes.

describeWithPeers('on a terminal', ['script', 'oras'], ([script = '', oras = '']) => {
  const content = randomBytes(30_000_000);
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  let folder = '';
  let registry: RunningRegistry;
  let host = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'progress-'));
    registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true, users: [] });
    host = `localhost:${registry.port}`;
    await writeFile(join(folder, 'large.bin'), content);
  });
  afterAll(async () => {
    await registry.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs a command whose standard error is a terminal, and its standard output a file. */
  async function onTerminal(command: string, line: string): Promise<{ code: number; seen: string; out: string }> {
    const [env, out] = [{ HOME: folder, DOCKER_CONFIG: folder, TERM: 'xterm', NO_COLOR: '1' }, join(folder, 'out.txt')];
    const shell = `stty cols 100 rows 30; ${command} ${line} >${out}`;
    const { code, out: seen } = await runProgram(script, ['-qec', shell, '/dev/null'], { cwd: folder, env });
    return { code, seen, out: await readFile(out, 'utf8') };
  }
  const ours = (line: string) =>
    onTerminal(`${process.execPath} --no-warnings ${resolve('dist/src/cli/main.js')}`, line);
  const theirs = (line: string) => onTerminal(oras, line);

  const BAR = /\[=*\.*\]\( *[\d.]+ \w+\/s\)/;

  test.each([
    ['push {host}/a/{side}:v1 large.bin', /✓ Uploaded large\.bin/, /^Pushed \[registry\] /],
    ['cp {host}/a/ours:v1 {host}/copied/{side}:v1', /✓ (?:Mounted|Copied) large\.bin/, /^Copied \[registry\] /],
    ['pull {host}/a/ours:v1 -o pulled-{side}', /✓ Downloaded large\.bin/, /^Pulled \[registry\] /],
    ['blob push {host}/blobs/{side} large.bin', /✓ Uploaded /, /^Pushed: \[registry\] /],
    [`blob fetch {host}/blobs/{side}@${digest} -o fetched-{side}`, /✓ Downloaded /, /^$/],
  ])(
    '%s',
    async (line, drawn, printed) => {
      const of = (side: string): string => line.replaceAll('{host}', host).replaceAll('{side}', side);
      const startedMs = performance.now();
      const own = await ours(of('ours'));
      const tookSeconds = (performance.now() - startedMs) / 1000;
      const other = await theirs(of('theirs'));
      expect([own.code, other.code]).toEqual([0, 0]);
      expect(own.seen).toMatch(drawn);
      expect(own.out).toMatch(printed);
      // What scripts read is the same on both; a push of ours has another digest.
      const comparable = (text: string): string =>
        text.replaceAll(/\/theirs\b/g, '/ours').replaceAll(/sha256:\w+/g, 'sha256:…');
      expect(comparable(own.out)).toBe(comparable(other.out));
      // What is mounted does not move.
      if (!line.startsWith('cp ')) expect(own.seen).toMatch(BAR);
      // At most five pictures a second, and two at the ends.
      expect(own.seen.split('[J').length - 1).toBeLessThanOrEqual(5 * tookSeconds + 2);
    },
    60_000,
  );

  test('a transfer shows a bar on a terminal and lines with --no-tty', async () => {
    const slow = await ours(`copy ${host}/a/ours:v1 --to-oci-layout layout:v1`);
    expect(slow.code).toBe(0);
    const plain = await ours(`copy --no-tty ${host}/a/ours:v1 --to-oci-layout layout-2:v1`);
    expect(plain.seen).toBe('');
    expect(plain.out).toMatch(/^Copying \w{12} /m);
    expect(slow.out).not.toMatch(/^Copying/m);
    expect(slow.seen).toMatch(BAR);
  }, 60_000);

  test('the tree of discover has the colours of oras, and none with --no-tty or NO_COLOR', async () => {
    const reference = `${host}/tree:v1`;
    await writeFile(join(folder, 'small.txt'), 'small');
    for (const line of [`push ${reference} small.txt`, `attach ${reference} --artifact-type a/b -a k=v small.txt`]) {
      expect((await runProgram(oras, line.split(' '), { cwd: folder })).code).toBe(0);
    }
    const show = async (command: string, options = '', env: Record<string, string> = {}): Promise<string[]> => {
      const shell = `${command} discover ${options} ${reference}`;
      const all = { HOME: folder, DOCKER_CONFIG: folder, TERM: 'xterm', NO_COLOR: '', ...env };
      const { code, out } = await runProgram(script, ['-qec', shell, '/dev/null'], { cwd: folder, env: all });
      expect(code).toBe(0);
      // oras draws annotations in any order, and the last of them with another line.
      return out
        .replaceAll(/[├└]── /g, '── ')
        .split('\r\n')
        .toSorted();
    };
    const own = `${process.execPath} --no-warnings ${resolve('dist/src/cli/main.js')}`;
    const [theirs, plain] = [await show(oras), await show(oras, '--no-tty')];
    expect(theirs.join()).toContain('\u001b[93ma/b\u001b[0m');
    expect(await show(own)).toEqual(theirs);
    expect(await show(own, '--no-tty')).toEqual(plain);
    expect(await show(own, '', { NO_COLOR: '1' })).toEqual(plain);
  }, 60_000);

  test('a failure is printed below the crossed-out transfer', async () => {
    const { code, seen, out } = await ours(`pull ${host}/a/ours:v1 -o /proc/no-such-folder`);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(seen).toMatch(/✗ \w+ application\/vnd\.oci\.image\.manifest[\s\S]*Error: .*\(FILE_UNWRITABLE\)/);
  }, 60_000);
});
