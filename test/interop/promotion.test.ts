import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { QueueClient } from '@azure/storage-queue';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWithPeers } from '../support/peers.js';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { writeImage, writeIndexWithProvenance } from '../support/stack/images.js';
import { discover, must, notationVerify, readJsonLines, type Discovered } from '../support/stack/programs.js';

const SIGNATURE = 'application/vnd.cncf.notary.signature';
const SBOM = 'application/vnd.cyclonedx+json';

function typesUnder(node: Discovered): string[] {
  return (node.referrers ?? []).map((each) => each.artifactType ?? '').sort();
}

function referrer(node: Discovered, artifactType: string): Discovered {
  const [found, ...more] = (node.referrers ?? []).filter((each) => each.artifactType === artifactType);
  if (found === undefined || more.length > 0) throw new Error(`${more.length + (found ? 1 : 0)} of ${artifactType}`);
  return found;
}

describeWithPeers(
  'an image pushed is an image promoted',
  ['skopeo', 'crane', 'oras', 'notation'],
  ([skopeo = '', crane = '', oras = '', notation = '']) => {
    let up: Everything;
    let folder: string;
    let notationHome: Record<string, string>;
    let docker: Record<string, string>;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'acr-promoter-interop-'));
      notationHome = { XDG_CONFIG_HOME: join(folder, 'notation'), HOME: folder };
      await must(notation, ['cert', 'generate-test', 'them'], notationHome);
      const theirs = join(folder, 'notation/notation/localkeys/them.crt');
      await readFile(theirs);
      up = await startEverything({
        schedule: '*/5 * * * * *',
        rules: ({ source, staging }) => ({
          rules: [
            {
              name: 'local',
              existing: 'promote',
              source: { registry: source, repositories: ['samples/**'] },
              destination: { reference: `${staging}/staging/{repository}:{tag}` },
            },
            {
              name: 'signed',
              existing: 'promote',
              source: { registry: source, repositories: ['signed/*'] },
              verify: { signatures: [{ format: 'notary', trustStore: theirs, identities: ['*'] }] },
              destination: { reference: `${staging}/staging/{repository}:{tag}` },
            },
            {
              name: 'same',
              existing: 'promote',
              source: { registry: staging, repositories: ['**'] },
              destination: { reference: `${staging}/staging/{repository}:{tag}` },
            },
          ],
        }),
      });
      docker = { DOCKER_CONFIG: join(folder, 'docker') };
      for (const registry of [up.source, up.staging]) {
        await must(crane, ['auth', 'login', registry, '-u', up.user.name, '-p', up.user.password], docker);
      }
    }, 120_000);

    afterAll(async () => {
      await up?.stop();
      await rm(folder, { recursive: true, force: true });
    }, 60_000);

    const skopeoPush = (layout: string, reference: string, args: readonly string[] = []): Promise<string> =>
      must(skopeo, [
        'copy',
        '--quiet',
        '--dest-tls-verify=false',
        '--dest-creds',
        `${up.user.name}:${up.user.password}`,
        ...args,
        `oci:${layout}:v1`,
        `docker://${reference}`,
      ]);
    const atDestination = (repository: string, tag: string): Promise<Discovered> =>
      discover(oras, `${up.staging}/staging/${repository}:${tag}`, up.user);

    async function expectOneOfEach(repository: string, tag: string, digest: string): Promise<void> {
      const tree = await atDestination(repository, tag);
      expect(tree.digest).toBe(digest);
      expect(typesUnder(tree)).toEqual([SIGNATURE, SBOM].sort());
      expect(typesUnder(referrer(tree, SBOM))).toEqual([SIGNATURE]);
      const verified = await notationVerify(
        notation,
        `${up.staging}/staging/${repository}@${digest}`,
        up.certificate,
        up.user,
      );
      expect(verified).toMatchObject({ code: 0 });
    }

    test('an image that skopeo pushed is promoted', async () => {
      const digest = await writeImage(join(folder, 'skopeo'), 'pushed by skopeo');
      const since = Date.now();
      await skopeoPush(join(folder, 'skopeo'), `${up.source}/samples/skopeo:v1`);
      expect(ending((await up.ended('samples/skopeo', 'v1', since)).last)).toMatchObject({
        outcome: 'promoted',
        digest,
      });
      await expectOneOfEach('samples/skopeo', 'v1', digest);
    }, 120_000);

    test('an image that crane pushed is promoted', async () => {
      const digest = await writeImage(join(folder, 'crane'), 'pushed by crane');
      const since = Date.now();
      await must(crane, ['push', '--insecure', join(folder, 'crane'), `${up.source}/samples/crane:v1`], docker);
      expect(ending((await up.ended('samples/crane', 'v1', since)).last)).toMatchObject({
        outcome: 'promoted',
        digest,
      });
      await expectOneOfEach('samples/crane', 'v1', digest);
    }, 120_000);

    test('an index of two platforms with provenance', async () => {
      const digest = await writeIndexWithProvenance(join(folder, 'index'));
      const since = Date.now();
      await skopeoPush(join(folder, 'index'), `${up.source}/samples/index:v1`, ['--all', '--preserve-digests']);
      expect(ending((await up.ended('samples/index', 'v1', since)).last)).toMatchObject({
        outcome: 'promoted',
        digest,
      });
      const destination = `${up.staging}/staging/samples/index`;
      const tree = await atDestination('samples/index', 'v1');
      expect(tree.digest).toBe(digest);
      expect(typesUnder(tree)).toEqual([SIGNATURE]);
      const index = JSON.parse(await must(crane, ['manifest', '--insecure', `${destination}:v1`], docker)) as {
        manifests: { digest: string; platform: { os: string } }[];
      };
      expect(index.manifests).toHaveLength(4);
      for (const child of index.manifests) {
        const under = typesUnder(await discover(oras, `${destination}@${child.digest}`, up.user));
        expect(under).toEqual(child.platform.os === 'unknown' ? [SIGNATURE] : [SIGNATURE, SBOM].sort());
        expect(await notationVerify(notation, `${destination}@${child.digest}`, up.certificate, up.user)).toMatchObject(
          { code: 0 },
        );
      }
    }, 120_000);

    test('a Helm chart and an ORAS artifact get no SBOM, and are signed', async () => {
      await writeFile(join(folder, 'chart.json'), '{"name":"chart","version":"0.1.0","apiVersion":"v2"}');
      await writeFile(join(folder, 'chart.tgz'), 'not unpacked by anybody');
      await writeFile(join(folder, 'readme.md'), 'Readme Content\n');
      const login = ['--plain-http', '-u', up.user.name, '-p', up.user.password];
      const since = Date.now();
      await must(
        oras,
        [
          'push',
          ...login,
          `${up.source}/samples/chart:0.1.0`,
          '--config',
          'chart.json:application/vnd.cncf.helm.config.v1+json',
          'chart.tgz:application/vnd.cncf.helm.chart.content.v1.tar+gzip',
        ],
        {},
        folder,
      );
      await must(
        oras,
        [
          'push',
          ...login,
          `${up.source}/samples/artifact:readme`,
          '--artifact-type',
          'readme/example',
          'readme.md:application/markdown',
        ],
        {},
        folder,
      );
      for (const [repository, tag] of [
        ['samples/chart', '0.1.0'],
        ['samples/artifact', 'readme'],
      ] as const) {
        const { last } = await up.ended(repository, tag, since);
        expect(ending(last)).toMatchObject({ outcome: 'promoted' });
        const tree = await atDestination(repository, tag);
        expect(tree.digest).toBe(last?.digest);
        expect(typesUnder(tree)).toEqual([SIGNATURE]);
        expect(
          await notationVerify(notation, `${up.staging}/staging/${repository}@${tree.digest}`, up.certificate, up.user),
        ).toMatchObject({ code: 0 });
      }
    }, 120_000);

    test('what referred to the image before travels with it', async () => {
      const digest = await writeImage(join(folder, 'graph'), 'with a graph');
      const reference = `${up.source}/unruled/graph`;
      await skopeoPush(join(folder, 'graph'), `${reference}:v1`);
      await writeFile(join(folder, 'signature.json'), '{"signature":"jayden hancock"}');
      const login = ['--plain-http', '-u', up.user.name, '-p', up.user.password];
      const attach = (subject: string, type: string): Promise<string> =>
        must(
          oras,
          [
            'attach',
            ...login,
            '--format',
            'go-template={{.digest}}',
            subject,
            '--artifact-type',
            type,
            'signature.json:application/json',
          ],
          {},
          folder,
        );
      const sbom = await attach(`${reference}:v1`, 'sbom/example');
      await attach(`${reference}@${sbom}`, 'signature/example');
      const since = Date.now();
      await must(oras, [
        'cp',
        '-r',
        '--from-plain-http',
        '--to-plain-http',
        '--from-username',
        up.user.name,
        '--from-password',
        up.user.password,
        '--to-username',
        up.user.name,
        '--to-password',
        up.user.password,
        `${reference}:v1`,
        `${up.source}/samples/graph:v1`,
      ]);
      expect(ending((await up.ended('samples/graph', 'v1', since)).last)).toMatchObject({
        outcome: 'promoted',
        digest,
      });
      const tree = await until('the graph', async () => {
        const seen = await atDestination('samples/graph', 'v1');
        return typesUnder(seen).length === 3 ? seen : undefined;
      });
      expect(typesUnder(tree)).toEqual([SIGNATURE, SBOM, 'sbom/example'].sort());
      expect(typesUnder(referrer(tree, 'sbom/example'))).toEqual(['signature/example']);
    }, 120_000);

    test('a push, three identical events, the schedule and a promote job give one SBOM and one signature', async () => {
      const digest = await writeImage(join(folder, 'often'), 'asked for often');
      const [host, repository] = [up.source, 'samples/often'];
      const since = Date.now();
      await skopeoPush(join(folder, 'often'), `${host}/${repository}:v1`);
      const event = {
        id: 'said-again',
        topic: '/subscriptions/0/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/local',
        subject: `${repository}:v1`,
        eventType: 'Microsoft.ContainerRegistry.ImagePushed',
        eventTime: new Date().toISOString(),
        dataVersion: '1.0',
        metadataVersion: '1',
        data: {
          id: 'x',
          timestamp: new Date().toISOString(),
          action: 'push',
          target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, repository, tag: 'v1' },
          request: { id: 'x', host, method: 'PUT', useragent: 'test' },
        },
      };
      const answers = await Promise.all(
        [1, 2, 3].map(() =>
          fetch(`${up.hostUrl}/runtime/webhooks/EventGrid?functionName=onRegistryEvent`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'aeg-event-type': 'Notification' },
            body: JSON.stringify([event]),
          }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
      const connection = (await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
      const send = (queue: string, message: unknown): Promise<unknown> =>
        new QueueClient(connection, queue).sendMessage(Buffer.from(JSON.stringify(message)).toString('base64'));
      await send('registry-events', { ...event, id: 'by-queue' });
      await send('jobs', { operation: 'promote', id: 'job-often', source: `${host}/${repository}:v1` });
      await up.ended(repository, 'v1', since);
      const job = await until('the job to end', async () => {
        const answer = await fetch(`${up.hostUrl}/api/runs`);
        const { runs } = (await answer.json()) as {
          runs: { state: string; jobId?: string; result?: { outcome: string } }[];
        };
        return runs.find((each) => each.jobId === 'job-often' && each.state === 'ended');
      });
      expect(['promoted', 'unchanged']).toContain(job.result?.outcome);
      await up.nextScan();
      const log = await readFile(join(up.dataDir, 'logs', 'host.log'), 'utf8');
      expect(log).toMatch(/onRegistryEvent: .*samples\/often:v1/);
      expect(log).toMatch(/onRegistryEventMessage: .*samples\/often:v1/);
      expect(log).toMatch(/onJobMessage: job job-often/);
      await expectOneOfEach(repository, 'v1', digest);
    }, 240_000);

    test('one digest under three tags within a second: three tags, one SBOM, one signature', async () => {
      const digest = await writeImage(join(folder, 'tags'), 'three tags');
      const since = Date.now();
      await skopeoPush(join(folder, 'tags'), `${up.source}/samples/tags:a`);
      await Promise.all(
        ['b', 'c'].map((tag) => must(crane, ['tag', '--insecure', `${up.source}/samples/tags:a`, tag], docker)),
      );
      for (const tag of ['a', 'b', 'c']) {
        expect((await up.ended('samples/tags', tag, since)).last).toMatchObject({ digest });
        await expectOneOfEach('samples/tags', tag, digest);
      }
    }, 120_000);

    test('a rule that wants a signature waits for it, and is woken by it', async () => {
      const digest = await writeImage(join(folder, 'signed'), 'to be signed');
      await skopeoPush(join(folder, 'signed'), `${up.source}/signed/app:v1`);
      await until('the promotion to wait', async () =>
        (await up.promotion('signed/app', 'v1'))?.state === 'waiting' ? true : undefined,
      );
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      expect((await up.promotion('signed/app', 'v1'))?.state).toBe('waiting');
      const signedAt = Date.now();
      await must(
        notation,
        [
          'sign',
          '--insecure-registry',
          '--force-referrers-tag=false',
          '--key',
          'them',
          '-u',
          up.user.name,
          '-p',
          up.user.password,
          `${up.source}/signed/app@${digest}`,
        ],
        notationHome,
      );
      const { last } = await up.ended('signed/app', 'v1', signedAt);
      expect(ending(last)).toMatchObject({ outcome: 'promoted', digest });
      // Woken, not found by the look that comes every five minutes.
      expect(Date.now() - signedAt).toBeLessThan(200_000);
      expect(typesUnder(await atDestination('signed/app', 'v1'))).toEqual([SIGNATURE, SIGNATURE, SBOM].sort());
    }, 120_000);

    test('** to staging/{repository} in one registry: three pushes, three copies, and no more', async () => {
      const names = ['one', 'two', 'three'];
      const since = Date.now();
      for (const name of names) {
        await writeImage(join(folder, `same-${name}`), `same ${name}`);
        await skopeoPush(join(folder, `same-${name}`), `${up.staging}/mine/${name}:v1`);
      }
      for (const name of names) {
        expect(ending((await up.ended(`mine/${name}`, 'v1', since)).last)).toMatchObject({ outcome: 'promoted' });
        expect(typesUnder(await atDestination(`mine/${name}`, 'v1'))).toEqual([SIGNATURE, SBOM].sort());
      }
      // What would feed itself would do so within a scan of the schedule.
      await up.nextScan();
      const login = ['--plain-http', '-u', up.user.name, '-p', up.user.password];
      const repositories = (await must(oras, ['repo', 'ls', ...login, up.staging]))
        .split('\n')
        .filter((name) => name.includes('mine/'));
      expect(repositories.sort()).toEqual(names.flatMap((name) => [`mine/${name}`, `staging/mine/${name}`]).sort());
      // Mounted: no blob of the copies was uploaded.
      const log = await readJsonLines(join(up.dataDir, 'registry-staging', 'requests.jsonl'));
      const uploads = log.filter(
        ({ method, path }) =>
          method === 'PUT' && String(path).startsWith('/v2/staging/mine/') && String(path).includes('/blobs/uploads/'),
      );
      expect(uploads).toEqual([]);
    }, 240_000);

    test('every request without a token was answered 401, and the identity endpoint knows who asked', async () => {
      for (const registry of ['registry-source', 'registry-staging']) {
        const log = await readJsonLines(join(up.dataDir, registry, 'requests.jsonl'));
        const bare = log.filter(({ path, token }) => String(path).startsWith('/v2/') && token === 'none');
        expect(bare.length).toBeGreaterThan(0);
        expect(bare.filter(({ status }) => status !== 401)).toEqual([]);
        expect(log.filter(({ path, status }) => path === '/oauth2/exchange' && status === 200).length).toBeGreaterThan(
          0,
        );
      }
      const asked = await readJsonLines(join(up.dataDir, 'identity', 'identity-requests.jsonl'));
      expect(asked.length).toBeGreaterThan(0);
      expect(asked[0]).toMatchObject({ status: 200, resource: 'https://containerregistry.azure.net' });
      expect(asked[0]?.['clientId']).toEqual(expect.stringMatching(/^[0-9a-f-]{36}$/));
    });
  },
);
