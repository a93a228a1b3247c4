import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSelfSignedCertificate } from '../support/self-signed.js';
import { writeHeavyImage } from '../faults/promotion/images.js';
import { waitForMoment } from '../faults/promotion/moments.js';
import { describeWithPeers } from '../support/peers.js';
import { startEverything, until } from '../support/stack/everything.js';
import { LayoutWriter, writeImage, writeIndexWithProvenance } from '../support/stack/images.js';
import { discover, must } from '../support/stack/programs.js';
import { anEntraToken, filesWith, secretsOf } from './start/secrets.js';
import {
  allGone,
  freePorts,
  isRunning,
  portOptions,
  processIds,
  start,
  type Ports,
  type Started,
} from './start/started.js';

// `npm start` as somebody has it who tries it.

const SIGNATURE = 'application/vnd.cncf.notary.signature';
const SBOM = 'application/vnd.cyclonedx+json';
/** What a terminal would act upon; line feeds apart. */
const CONTROL = /[^\P{Cc}\n]/u;

interface Summary {
  source: string;
  destination: string;
  digest: string;
  outcome: string;
  durationMs: number;
  referrers: unknown;
  certificate: string;
  publicKey: string;
  statusUrl: string;
  error?: { code: string; message: string; remedy?: string };
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-start-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('wrong settings and options are reported at the start', () => {
  test.each([
    ['an unknown option', ['--bogus'], 'BAD_OPTION', /--bogus/],
    ['a port that is none', ['--port', '70710'], 'BAD_OPTION', /70710/],
    ['an argument too much', ['once'], 'BAD_OPTION', /once/],
    ['an image that is not there', ['--image', 'no-such-layout'], 'LAYOUT_NOT_FOUND', /no-such-layout/],
    ['an image that is no layout', ['--image', 'docs'], 'LAYOUT_INVALID', /docs/],
    ['rules that are not there', ['--rules', 'no-such-rules.yaml'], 'RULES_UNREADABLE', /no-such-rules/],
    ['rules that are none', ['--rules', 'package.json'], 'RULES_INVALID', /package\.json/],
    ['two ports that are one', ['--port', '1', '--source-port', '1'], 'PORT_IN_USE', /Functions host.*source registry/],
    ['a data folder that is a file', ['--data-dir', 'package.json'], 'DATA_DIR_UNUSABLE', /package\.json/],
  ])(
    '%s',
    async (_what, args, code, message) => {
      const started = start(['--json', '--data-dir', join(folder, 'never'), ...args]);
      expect(await started.ended).toBe(1);
      const { error } = started.lastLine() as Summary;
      expect(error).toMatchObject({ code, message: expect.stringMatching(message), remedy: expect.any(String) });
      expect(started.stderr()).toContain(`Error: ${code}: `);
      expect(started.stderr()).not.toMatch(/\n {4}at /);
    },
    120_000,
  );

  test('npm start reports settings that the app cannot load with', async () => {
    const args = ['--json', '--data-dir', join(folder, 'settings'), ...portOptions(await freePorts())];
    const started = start(args, { env: { PROMOTION_PAUSED: 'perhaps', RUN_RETENTION_DAYS: '0' } });
    expect(await started.ended).toBe(1);
    const { error } = started.lastLine() as Summary;
    expect(error).toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringMatching(/PROMOTION_PAUSED: .*RUN_RETENTION_DAYS: /),
    });
  }, 120_000);

  test('npm start reports options that npm has taken for itself', async () => {
    const started = start(['--json'], { env: { npm_config_once: 'true' } });
    expect(await started.ended).toBe(1);
    expect(started.lastLine()).toMatchObject({
      error: { code: 'BAD_OPTION', remedy: expect.stringContaining('-- --once') },
    });
  });

  test('--help names every option', async () => {
    const started = start(['--help']);
    expect(await started.ended).toBe(0);
    for (const option of [
      'once',
      'image',
      'json',
      'anonymous',
      'rules',
      'data-dir',
      'port',
      'source-port',
      'staging-port',
    ])
      expect(started.stdout()).toContain(`--${option}`);
  });
});

describeWithPeers('npm start', ['oras'], ([oras = '']) => {
  let ports: Ports;
  let dataDir: string;
  let started: Started;
  let digest: string;

  beforeAll(async () => {
    ports = await freePorts();
    dataDir = join(folder, 'up');
    digest = await writeIndexWithProvenance(join(folder, 'index'));
    const args = ['--json', '--image', join(folder, 'index'), '--data-dir', dataDir, ...portOptions(ports)];
    started = start(args, { npm: true });
    await started.printed('The app and the registries keep running');
  }, 120_000);
  afterAll(async () => {
    if (isRunning(started.pid)) process.kill(-started.pid, 'SIGTERM');
    await started.ended;
  }, 120_000);

  test('the last line of standard output reports how the promotion of a multi-platform image ended', async () => {
    const summary = started.lastLine() as Summary;
    expect(summary).toEqual({
      source: `localhost:${ports.source}/samples/image:v1`,
      destination: `localhost:${ports.staging}/staging/samples/image:v1`,
      digest,
      outcome: 'promoted',
      durationMs: expect.any(Number),
      referrers: expect.any(Array),
      certificate: join(dataDir, 'signing/certificate.pem'),
      publicKey: join(dataDir, 'signing/public-key.pem'),
      statusUrl: expect.stringContaining(`http://localhost:${ports.host}/api/promotions/`),
    });
    const [user] = JSON.parse(await readFile(join(dataDir, 'users.json'), 'utf8')) as [
      { name: string; password: string },
    ];
    expect(summary.referrers).toEqual((await discover(oras, summary.destination, user)).referrers);
    expect(await readFile(summary.certificate, 'utf8')).toMatch(/^-----BEGIN CERTIFICATE-----/);
    expect(await readFile(summary.publicKey, 'utf8')).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    const answer = await fetch(summary.statusUrl);
    expect(await answer.json()).toMatchObject({ state: 'in_sync', last: { outcome: 'promoted', digest } });
    expect((await fetch(`http://localhost:${ports.host}/api/health`)).status).toBe(200);
  }, 120_000);

  test('a pipe gets no control characters', () => {
    expect(started.stderr()).toContain('promoted samples/image:v1');
    expect(started.stdout() + started.stderr()).not.toMatch(CONTROL);
  });

  test('a second start with the same folder or ports is refused with the reason', async () => {
    const [same, other] = [
      start(['--json', '--data-dir', dataDir, ...portOptions(await freePorts())]),
      start(['--json', '--data-dir', join(folder, 'other'), ...portOptions(ports)]),
    ];
    expect([await same.ended, await other.ended]).toEqual([1, 1]);
    const inUse = (same.lastLine() as Summary).error;
    expect(inUse).toMatchObject({ code: 'DATA_DIR_IN_USE', message: expect.stringContaining(dataDir) });
    const { pid } = JSON.parse(await readFile(join(dataDir, 'start.json'), 'utf8')) as { pid: number };
    expect(inUse?.message).toMatch(new RegExp(`process id ${pid}$`));
    const taken = (other.lastLine() as Summary).error;
    expect(taken).toMatchObject({
      code: 'PORT_IN_USE',
      remedy: expect.stringContaining('--port and --source-port and --staging-port'),
    });
    for (const port of Object.values(ports)) expect(taken?.message).toContain(`port ${port} of the `);
    expect((await fetch(`http://localhost:${ports.host}/api/health`)).status).toBe(200);
  }, 120_000);

  test('a process that dies is started again on its port', async () => {
    const { identity = 0 } = await processIds(dataDir);
    process.kill(identity, 'SIGKILL');
    const again = await until('identity to be back', async () => {
      const { identity: pid = 0 } = await processIds(dataDir);
      return pid === identity ? undefined : pid;
    });
    await until('identity to answer', () => anEntraToken(dataDir).catch(() => undefined));
    expect(isRunning(again)).toBe(true);
    expect(started.stderr()).toContain('identity was ended by SIGKILL; starting it again');
  }, 120_000);

  test('no secret is in a log, a row or a file other than its own', async () => {
    const secrets = await secretsOf(dataDir);
    // What is looked for is what there is.
    const token = await anEntraToken(dataDir);
    expect(secrets.filter((secret) => secret.isIn(token)).map(({ name }) => name)).toEqual(['a token']);
    const asked = await readFile(join(dataDir, 'identity/identity-requests.jsonl'), 'utf8');
    expect(asked.trim().split('\n').length).toBeGreaterThan(1);
    expect(await filesWith(dataDir, secrets)).toEqual([]);
    const shown = `${started.stdout()}${started.stderr()}`.replaceAll(/password \S+|-p \S+/g, '');
    expect(secrets.filter((secret) => secret.isIn(shown)).map(({ name }) => name)).toEqual([]);
  }, 120_000);

  test('Ctrl-C ends everything', async () => {
    const pids = Object.values(await processIds(dataDir));
    expect(pids).toHaveLength(5);
    expect(pids.filter(isRunning)).toEqual(pids);
    // As a terminal does: to the whole group.
    process.kill(-started.pid, 'SIGINT');
    await allGone([started.pid, ...pids], 60_000);
    await started.ended;
    // Identity's, above: none of them was started again while it stopped.
    expect(started.stderr().match(/starting it again/g)).toHaveLength(1);
    expect(started.lastLine()).toMatchObject({ outcome: 'promoted' });
  }, 120_000);
});

describe('npm start that is killed', () => {
  test('its processes end by themselves, and the next start continues the open run', async () => {
    const ports = await freePorts();
    const dataDir = join(folder, 'killed');
    const digest = await writeHeavyImage(join(folder, 'heavy'), 'killed', { layerBytes: 40_000_000 });
    const args = ['--image', join(folder, 'heavy'), '--data-dir', dataDir, ...portOptions(ports)];
    const killed = start(args);
    await killed.printed('attachSbom');
    const { host = 0, ...others } = await processIds(dataDir);
    const pids = [...Object.values(others), host];
    const since = Date.now();
    // The host takes its time: storage and registries are there for as long as it works.
    process.kill(host, 'SIGSTOP');
    process.kill(killed.pid, 'SIGKILL');
    expect(await killed.ended).toBe('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(pids.filter(isRunning)).toEqual(pids);
    process.kill(host, 'SIGCONT');
    // At once: what is still there is waited for.
    const up = await startEverything({ dataDir, ports });
    try {
      expect(pids.filter(isRunning)).toEqual([]);
      const { last } = await up.ended('samples/image', 'v1', since);
      // The next look follows at once, if an event was delivered twice.
      expect(last).toMatchObject({ outcome: expect.stringMatching(/^(promoted|unchanged)$/), digest });
      await waitForMoment(up, 'samples/hello', { step: 'tagDestination' });
    } finally {
      await up.stop();
    }
  }, 120_000);
});

describe('rules that refuse', () => {
  test('--once exits with 1 and reports the reason', async () => {
    const ports = await freePorts();
    const rules = join(folder, 'away.json');
    const rule = {
      name: 'away',
      source: { registry: `localhost:${ports.source}`, repositories: ['**'] },
      destination: { reference: 'elsewhere.example/{repository}:{tag}' },
    };
    await writeFile(rules, JSON.stringify({ rules: [rule] }));
    const dataDir = join(folder, 'refused');
    const started = start(['--once', '--json', '--rules', rules, '--data-dir', dataDir, ...portOptions(ports)]);
    expect(await started.ended).toBe(1);
    expect(started.lastLine()).toMatchObject({
      source: `localhost:${ports.source}/samples/hello:v1`,
      destination: 'elsewhere.example/samples/hello:v1',
      outcome: 'refused',
      error: { code: 'REGISTRY_NOT_ALLOWED', message: expect.stringContaining('elsewhere.example') },
    });
    await allGone(Object.values(await processIds(dataDir)), 60_000);
  }, 120_000);

  test('rules that match nothing are reported before anything starts', async () => {
    const ports = await freePorts();
    const rules = join(folder, 'none.json');
    const rule = {
      name: 'releases',
      source: { registry: `localhost:${ports.source}`, repositories: ['**'], tags: ['release-*'] },
      destination: { reference: `localhost:${ports.staging}/staging/{repository}:{tag}` },
    };
    await writeFile(rules, JSON.stringify({ rules: [rule] }));
    const started = start([
      '--once',
      '--json',
      '--rules',
      rules,
      '--data-dir',
      join(folder, 'none'),
      ...portOptions(ports),
    ]);
    expect(await started.ended).toBe(1);
    expect(started.lastLine()).toMatchObject({
      error: { code: 'NO_RULE_MATCHES', message: expect.stringContaining('tag v1 is not in release-*') },
    });
  }, 120_000);
});

describeWithPeers(
  '--anonymous, rules in YAML, a layout with several tags',
  ['skopeo', 'crane', 'oras'],
  ([skopeo = '', crane = '', oras = '']) => {
    let ports: Ports;
    let started: Started;

    beforeAll(async () => {
      ports = await freePorts();
      const layout = new LayoutWriter(join(folder, 'tags'));
      const images = [await layout.image({ 'a.txt': 'a' }, 'amd64'), await layout.image({ 'b.txt': 'b' }, 'amd64')];
      await layout.finish(images[0] ?? (await layout.image({}, 'amd64')), 'v1');
      const index = JSON.parse(await readFile(join(folder, 'tags/index.json'), 'utf8')) as { manifests: unknown[] };
      for (const name of ['registry.example/app:v2', 'v3']) {
        const { platform: _platform, ...image } = images[1] ?? {};
        index.manifests.push({ ...image, annotations: { 'org.opencontainers.image.ref.name': name } });
      }
      await writeFile(join(folder, 'tags/index.json'), JSON.stringify(index));
      await writeFile(
        join(folder, 'their.pem'),
        createSelfSignedCertificate({ commonName: 'they', organization: 'example', days: 1 }).certificatePem,
      );
      await writeFile(
        join(folder, 'rules.yaml'),
        `rules:
  - name: samples # every tag
    existing: promote
    source: { registry: "localhost:${ports.source}", repositories: ["samples/**"] }
    destination: { reference: "localhost:${ports.staging}/staging/{repository}:{tag}" }
  - name: signed
    source: { registry: "localhost:${ports.source}", repositories: ["signed/**"] }
    verify: { signatures: [{ format: notary, trustStore: their.pem }] }
    destination: { reference: "localhost:${ports.staging}/staging/{repository}:{tag}" }
`,
      );
      const rules = ['--rules', join(folder, 'rules.yaml')];
      started = start(
        [
          '--json',
          '--anonymous',
          '--image',
          join(folder, 'tags'),
          ...rules,
          '--data-dir',
          join(folder, 'anonymous'),
          ...portOptions(ports),
        ],
        { npm: true },
      );
      await started.printed('The app and the registries keep running');
    }, 120_000);
    afterAll(() => {
      if (isRunning(started.pid)) process.kill(-started.pid, 'SIGTERM');
    });

    test('each tag is pushed and promoted', async () => {
      expect(started.lastLine()).toMatchObject({
        source: `localhost:${ports.source}/samples/image:v1`,
        outcome: 'promoted',
      });
      const tags = await must(oras, [
        'repo',
        'tags',
        '--plain-http',
        `localhost:${ports.staging}/staging/samples/image`,
      ]);
      expect(tags.trim().split('\n').sort()).toEqual(['v1', 'v2', 'v3']);
    }, 120_000);

    test('skopeo, crane and oras need no login, and what no rule matches is reported', async () => {
      const anonymous = { DOCKER_CONFIG: join(folder, 'no-docker-config'), HOME: folder };
      await writeImage(join(folder, 'plain'), 'without login');
      const copy = ['copy', '--quiet', '--dest-tls-verify=false', `oci:${join(folder, 'plain')}:v1`];
      await must(skopeo, [...copy, `docker://localhost:${ports.source}/samples/plain:v1`], anonymous);
      await must(
        crane,
        ['push', '--insecure', join(folder, 'plain'), `localhost:${ports.source}/unruled/plain:v1`],
        anonymous,
      );
      await started.printed('promoted samples/plain:v1');
      await started.printed(`ignored localhost:${ports.source}/unruled/plain:v1`);
      const tree = await discover(oras, `localhost:${ports.staging}/staging/samples/plain:v1`, undefined);
      expect((tree.referrers ?? []).map(({ artifactType = '' }) => artifactType).sort()).toEqual(
        [SIGNATURE, SBOM].sort(),
      );
    }, 120_000);

    test('SIGTERM to npm alone ends everything too', async () => {
      const pids = Object.values(await processIds(join(folder, 'anonymous')));
      expect(pids.filter(isRunning)).toHaveLength(5);
      process.kill(started.pid, 'SIGTERM');
      await allGone(pids, 60_000);
      await started.ended;
    }, 120_000);
  },
);
