import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { unzipSync } from 'fflate';
import { startAzurite } from '../support/azurite.js';
import { freePort } from '../support/free-port.js';
import { describeWithPeers } from '../support/peers.js';
import { promoteWithVaultKey } from './vault-promotion.js';
import { expectNothingLostOverWrongSettings } from './wrong-settings.js';

// What is deployed: made, unpacked where nothing else is, and run.

interface LockedPackage {
  version: string;
  dev?: boolean;
  optional?: boolean;
  devOptional?: boolean;
}

describe('npm run package', () => {
  let folder: string;
  let app: string;
  let names: string[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'acr-promoter-package-'));
    const ran = spawnSync(process.execPath, ['tools/package.mjs', '--out', folder], { encoding: 'utf8' });
    expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: '' });
    app = join(folder, 'unpacked');
    const files = unzipSync(readFileSync(join(folder, 'acr-promoter.zip')));
    names = Object.keys(files);
    for (const [name, bytes] of Object.entries(files)) {
      mkdirSync(dirname(join(app, name)), { recursive: true });
      writeFileSync(join(app, name), bytes);
    }
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('the zip holds the folder that azd packs and nothing else', () => {
    const staged = readdirSync(join(folder, 'package'), { recursive: true, withFileTypes: true });
    expect(names).toHaveLength(staged.filter((entry) => entry.isFile()).length);
    expect([...new Set(names.map((name) => name.split('/')[0]))]).toEqual([
      'LICENSE',
      'dist',
      'host.json',
      'node_modules',
      'package.json',
    ]);
    const others = names.filter((name) => name.startsWith('dist/') && !/^dist\/src\/.+\.js$/.test(name));
    expect(others).toEqual(['dist/bundle-worker/sbom-unpacker.mjs', 'dist/bundle-worker/sbom-worker.mjs']);
    expect(names).toContain('dist/src/main.js');
    expect(names.filter((name) => /local\.settings|\.js\.map$|\.d\.ts$|\/\.bin\//.test(name))).toEqual([]);
    expect(readFileSync(join(app, 'host.json'), 'utf8')).toBe(readFileSync('host.json', 'utf8'));
  });

  test('package.json has no scripts and no further dependencies', () => {
    const manifest = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')) as Record<string, unknown>;
    const ours = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, unknown>;
    expect(Object.keys(manifest).sort()).toEqual(
      [
        'dependencies',
        'description',
        'engines',
        'exports',
        'license',
        'main',
        'name',
        'private',
        'type',
        'version',
      ].sort(),
    );
    expect(manifest).toMatchObject({ main: 'dist/src/main.js', type: 'module', dependencies: ours['dependencies'] });
  });

  test('node_modules holds the production packages of the lock file, at its versions', () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, LockedPackage> };
    const wanted = Object.entries(lock.packages)
      .filter(([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional)
      .map(([path, { version }]) => `${path} ${version}`);
    const found = Object.keys(lock.packages)
      .filter((path) => path !== '' && existsSync(join(app, path, 'package.json')))
      .map((path) => {
        const { version } = JSON.parse(readFileSync(join(app, path, 'package.json'), 'utf8')) as LockedPackage;
        return `${path} ${version}`;
      });
    expect(found.sort()).toEqual(wanted.sort());
    expect(found.length).toBeGreaterThan(50);
  });

  test('the package loads in the local host with the sample settings and registers its functions', async () => {
    const azurite = await startAzurite();
    const host = spawn(
      process.execPath,
      ['dist/local/host/main.js', '--app', app, '--port', '0', '--data-dir', join(folder, 'host')].concat(
        '--settings',
        resolve('local.settings.sample.json'),
      ),
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { PATH: process.env['PATH'], AzureWebJobsStorage: azurite.newAccount() },
      },
    );
    try {
      const [line] = (await once(createInterface({ input: host.stdout }), 'line')) as [string];
      const ready = JSON.parse(line) as { ready: boolean; port: number; functions: string[] };
      expect(ready).toMatchObject({
        ready: true,
        functions: expect.arrayContaining([
          'onRegistryEvent',
          'onRegistryEventMessage',
          'onJobMessage',
          'onSchedule',
          'onScheduleMessage',
          'promote',
          'runJob',
        ]),
      });
      expect((await fetch(`http://127.0.0.1:${ready.port}/api/health`)).status).toBe(200);
    } finally {
      const ended = once(host, 'exit');
      host.kill('SIGTERM');
      await ended;
      await azurite.stop();
    }
  }, 120_000);

  test('with wrong settings the package reports them and loses no message', async () => {
    await expectNothingLostOverWrongSettings(app, join(folder, 'settings'));
  }, 240_000);

  describeWithPeers('with a key in Key Vault', ['notation'], ([notation = '']) => {
    test(
      'the package promotes and signs with an RSA key, and notation verifies the signature',
      () => promoteWithVaultKey('RSA-3072', notation, ['--app', app]),
      240_000,
    );
  });

  test('npm start --once promotes an image with the package', async () => {
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const options = ['--port', '--source-port', '--staging-port'].flatMap((name, index) => [
      name,
      String(ports[index]),
    ]);
    const start = spawn(
      process.execPath,
      ['dist/local/start/main.js', '--once', '--json', '--app', app, '--data-dir', join(folder, 'data'), ...options],
      { stdio: ['ignore', 'pipe', 'pipe'], timeout: 240_000 },
    );
    const [[code], output, progress] = await Promise.all([
      once(start, 'close'),
      text(start.stdout),
      text(start.stderr),
    ]);
    expect({ code, progress: code === 0 ? '' : progress }).toEqual({ code: 0, progress: '' });
    const { destination, referrers } = JSON.parse(output.trim().split('\n').at(-1) ?? '') as {
      destination: string;
      referrers: { artifactType: string }[];
    };
    expect(destination).toMatch(/\/staging\/samples\//);
    expect(referrers.map(({ artifactType }) => artifactType).sort()).toEqual([
      'application/vnd.cncf.notary.signature',
      'application/vnd.cyclonedx+json',
    ]);
  }, 300_000);
});
