import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Quirks } from '../../local/registry/quirks.js';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { describeWithPeers } from '../support/peers.js';

const run = promisify(execFile);
const CREDENTIALS = 'admin:secret';

/** What each of these clients must be able to do, whatever the registry's habits. */
const WAYS: [string, { users: boolean; quirks: Quirks }][] = [
  ['with user and password', { users: true, quirks: {} }],
  ['anonymously', { users: false, quirks: {} }],
  ['with blobs redirected to another host', { users: true, quirks: { redirectBlobs: true } }],
  ['with absolute Locations and small pages', { users: true, quirks: { absoluteLocations: true, pageEntries: 2 } }],
];

describeWithPeers(
  'real clients against the local registry',
  ['oras', 'crane', 'skopeo'],
  ([oras = '', crane = '', skopeo = '']) => {
    describe.each(WAYS)('%s', (_name, { users, quirks }) => {
      let folder = '';
      let registry: RunningRegistry;
      let host = '';
      const call = async (program: string, ...args: string[]): Promise<string> => {
        const env = { ...process.env, DOCKER_CONFIG: join(folder, 'docker'), HOME: folder };
        return (await run(program, args, { cwd: folder, env })).stdout.trim();
      };

      beforeAll(async () => {
        folder = await mkdtemp(join(tmpdir(), 'clients-'));
        registry = await startRegistry({
          dataDir: join(folder, 'data'),
          anonymous: !users,
          users: users ? [{ name: 'admin', password: 'secret' }] : [],
          quirks,
        });
        host = `localhost:${registry.port}`;
        await mkdir(join(folder, 'docker'));
        const auths = users ? { [host]: { auth: Buffer.from(CREDENTIALS).toString('base64') } } : {};
        await writeFile(join(folder, 'docker', 'config.json'), JSON.stringify({ auths }));
        await writeFile(join(folder, 'content.bin'), randomBytes(3_000_000));
        await writeFile(join(folder, 'note.txt'), 'a note');
      });
      afterAll(async () => {
        await registry.close();
        await rm(folder, { recursive: true, force: true });
      });

      test('oras can push, attach, discover, copy with referrers and pull', async () => {
        const app = `${host}/samples/app:v1`;
        await call(oras, 'push', app, 'content.bin');
        const types = ['application/spdx+json', 'text/one', 'text/two', 'text/three', 'text/four'];
        for (const type of types) await call(oras, 'attach', app, '--artifact-type', type, 'note.txt');
        const listed = async (reference: string) =>
          (
            JSON.parse(await call(oras, 'discover', reference, '--format', 'json')) as {
              referrers: { artifactType: string }[];
            }
          ).referrers
            .map(({ artifactType }) => artifactType)
            .toSorted();
        expect(await listed(app)).toEqual(types.toSorted());
        await call(oras, 'cp', '-r', app, `${host}/staging/app:v1`);
        expect(await listed(`${host}/staging/app:v1`)).toEqual(types.toSorted());
        expect(await call(oras, 'resolve', `${host}/staging/app:v1`)).toBe(await call(oras, 'resolve', app));
        await call(oras, 'pull', `${host}/staging/app:v1`, '--output', 'pulled');
        const pulled = await readFile(join(folder, 'pulled', 'content.bin'));
        expect(pulled.equals(await readFile(join(folder, 'content.bin')))).toBe(true);
        for (const tag of ['v2', 'v3', 'v4', 'v5']) await call(oras, 'tag', app, tag);
        expect((await call(oras, 'repo', 'tags', `${host}/samples/app`)).split('\n')).toEqual([
          'v1',
          'v2',
          'v3',
          'v4',
          'v5',
        ]);
        await call(oras, 'manifest', 'delete', '--force', app);
        await expect(call(oras, 'resolve', app)).rejects.toThrow('not found');
      });

      test('crane can append, list and copy, and reads back the same bytes', async () => {
        await run('tar', ['cf', 'layer.tar', 'note.txt'], { cwd: folder });
        await call(crane, 'append', '--insecure', '-f', 'layer.tar', '-t', `${host}/crane/app:v1`);
        await call(crane, 'copy', '--insecure', `${host}/crane/app:v1`, `${host}/crane/copy:v1`);
        const [first, second] = [`${host}/crane/app:v1`, `${host}/crane/copy:v1`];
        expect(await call(crane, 'digest', '--insecure', second)).toBe(
          await call(crane, 'digest', '--insecure', first),
        );
        expect(await call(crane, 'export', '--insecure', second, '-')).toContain('a note');
        expect(await call(crane, 'ls', '--insecure', `${host}/crane/app`)).toBe('v1');
        expect((await call(crane, 'catalog', '--insecure', host)).split('\n')).toContain('crane/copy');
      });

      test('skopeo can copy in, across and out', async () => {
        const insecure = ['--src-tls-verify=false', '--dest-tls-verify=false'];
        const from = `${host}/crane/app:v1`;
        await call(skopeo, 'copy', ...insecure, `docker://${from}`, `docker://${host}/skopeo/app:v1`);
        await call(skopeo, 'copy', ...insecure, `docker://${host}/skopeo/app:v1`, 'oci:layout:v1');
        await call(skopeo, 'copy', ...insecure, 'oci:layout:v1', `docker://${host}/skopeo/again:v1`);
        const inspect = async (repository: string) =>
          JSON.parse(await call(skopeo, 'inspect', '--tls-verify=false', `docker://${host}/${repository}:v1`)) as {
            Layers: string[];
          };
        const { Layers } = await inspect('skopeo/again');
        expect(Layers.length).toBe(1);
        expect(registry.blobHostAuthorized ?? 0).toBe(0);
      });

      const testWithUsers = users ? test : undefined;
      testWithUsers?.('anybody who signs in with a wrong password gets nothing', async () => {
        const args = ['inspect', '--tls-verify=false', '--creds', 'admin:wrong', `docker://${host}/crane/app:v1`];
        await expect(call(skopeo, ...args)).rejects.toThrow('invalid username/password');
        const open = registry.log.filter(
          ({ path, token, scope }) => token !== 'valid' && !path.startsWith('/oauth2/') && scope !== 'blob-host',
        );
        expect(open.filter(({ status }) => status !== 401)).toEqual([]);
      });
    });
  },
);
