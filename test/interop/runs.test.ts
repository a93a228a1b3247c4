import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Readable } from 'node:stream';
import { QueueClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_MANIFEST,
  basicCredentials,
  createRegistries,
  digestOf,
  encodeManifest,
  packArtifact,
  pushPacked,
  type Descriptor,
  type Digest,
  type RegistryClient,
} from '../../src/oci/index.js';
import type { Explanation } from '../../src/promotions/explanation.js';
import type { RunRow, RunSummary } from '../../src/rows/run-row.js';
import type { StepProgress } from '../../src/rows/step-progress.js';
import { createSelfSignedCertificate } from '../support/self-signed.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';

// Is my tag in staging, and if not, why not: asked of the app as `npm start` runs it, over HTTP and by the command.

let up: Everything;
let client: RegistryClient;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-runs-'));
  const trustStore = join(folder, 'them.pem');
  const { certificatePem } = createSelfSignedCertificate({
    commonName: 'them',
    country: 'US',
    state: 'WA',
    organization: 'Test',
    days: 30,
  });
  await writeFile(trustStore, certificatePem);
  up = await startEverything({
    schedule: '*/5 * * * * *',
    rules: ({ source, staging }) => {
      const rule = (name: string, repositories: string[], reference: string, more: object = {}): object => ({
        name,
        source: { registry: source, repositories, tags: ['v*'] },
        triggers: ['push'],
        destination: { reference: `${staging}/${reference}` },
        ...more,
      });
      return {
        rules: [
          rule('staging', ['samples/**'], 'staging/{repository}:{tag}'),
          rule('taken', ['other/**'], 'staging/samples/app:{tag}'),
          rule('gated', ['gated/**'], '{repository}:{tag}', {
            verify: { signatures: [{ format: 'notary', trustStore, identities: ['*'] }] },
          }),
          rule('watching', ['watched/**'], 'staging/{repository}:{tag}', { mode: 'observe' }),
        ],
      };
    },
  });
  client = createRegistries({ credentials: basicCredentials(up.user.name, up.user.password, [up.source, up.staging]) });
}, 120_000);

afterAll(async () => {
  await client?.close();
  await up?.stop();
  await rm(folder, { recursive: true, force: true });
}, 120_000);

/** Pushes something that is no image: it is signed and copied, and takes a second. */
async function push(repository: string, tag: string, content = 'hello', registry = up.source): Promise<Digest> {
  const packed = packArtifact({
    artifactType: 'doc/example',
    layers: [{ mediaType: 'text/plain', bytes: Buffer.from(content) }],
  });
  await pushPacked(client.repository(registry, repository), packed, { tag });
  return packed.descriptor.digest;
}

const http = async (path: string): Promise<unknown> => (await fetch(`${up.hostUrl}/api/${path}`)).json();

interface Ended {
  code: number;
  out: string;
  err: string;
}
function acrPromoter(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, ACR_PROMOTER_APP: up.hostUrl };
    execFile(process.execPath, ['bin/acr-promoter.mjs', ...args], { env }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}
async function said(...args: string[]): Promise<unknown> {
  const { code, out, err } = await acrPromoter(...args, '--format', 'json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
}

/** Both are asked again where the one has seen what came after the other. */
async function alike(argv: readonly string[], path: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const [printed, answered] = [await said(...argv), await http(path)];
    if (tries === 3 || isDeepStrictEqual(printed, answered)) return expect(printed).toEqual(answered);
  }
}

const explained = async (reference: string): Promise<Explanation> =>
  (await http(`promotions?reference=${encodeURIComponent(reference)}`)) as Explanation;
const inState = (reference: string, wanted: string, text = /./): Promise<Explanation> =>
  until(
    () => `${reference} to be ${wanted}\n${up.output().slice(-2000)}`,
    async () => {
      const explanation = await explained(reference);
      const [promotion] = explanation.promotions;
      return promotion?.state === wanted && text.test(promotion.text) ? explanation : undefined;
    },
  );
const runs = async (query: string): Promise<RunSummary[]> =>
  ((await http(`runs?${query}`)) as { runs: RunSummary[] }).runs;

describe('one tag after the other', () => {
  test('before the push, explain reports a matching rule and no tag at the source', async () => {
    const reference = `${up.source}/samples/app:v1`;
    expect(await explained(reference)).toMatchObject({
      promoted: false,
      promotions: [{ text: expect.stringContaining('it is not at the source') }],
    });
    expect((await acrPromoter('explain', reference)).out).toContain('(rule staging): not started');
  }, 120_000);

  test('after the push the promotion is in sync, and the run lists its trigger and its steps', async () => {
    const digest = await push('samples/app', 'v1');
    const reference = `${up.source}/samples/app:v1`;
    const { promotions } = await inState(reference, 'in_sync');
    expect(promotions).toMatchObject([
      { rule: 'staging', digest, destination: `${up.staging}/staging/samples/app:v1`, since: expect.any(String) },
    ]);
    expect(await explained(`${up.staging}/staging/samples/app:v1`)).toMatchObject({ promoted: true });
    const [run] = await runs(`digest=${digest}&state=promoted`);
    expect(run).toMatchObject({
      kind: 'promotion',
      rule: 'staging',
      trigger: { kind: 'push', id: expect.any(String) },
    });
    type Shown = RunRow & { durationMs: number; steps: (StepProgress & { durationMs: number })[] };
    // The step that closes the run is done a moment after the run is.
    const shown = await until('the last step to be done', async () => {
      const seen = (await http(`runs/${run?.id}`)) as Shown;
      return seen.steps.some(({ step, state }) => step === 'closeRun' && state === 'done') ? seen : undefined;
    });
    expect(shown).toMatchObject({ digest, result: { outcome: 'promoted', digest }, durationMs: expect.any(Number) });
    expect(shown.steps.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['observe', 'copy', 'verifyArrival', 'tagDestination', 'closeRun']),
    );
    for (const step of shown.steps) {
      expect(Date.parse(step.startedAt)).not.toBeNaN();
      if (step.step !== 'closeRun') expect(step.durationMs).toBeLessThanOrEqual(shown.durationMs + 1000);
    }
    const copied = shown.steps.find(({ step }) => step === 'copy');
    expect(copied?.doneNodes).toBe(copied?.totalNodes);
    expect(copied?.totalNodes).toBeGreaterThan(1);
    await alike(['runs', 'show', run?.id ?? ''], `runs/${run?.id}`);
    expect((await acrPromoter('runs', run?.id ?? '')).out).toMatch(/: promoted\nrule staging, .*\nopened .* by push /);
  }, 120_000);

  test('a destination tag moved by hand is reported with both digests', async () => {
    await push('staging/samples/app', 'v1', 'another', up.staging);
    const { promotions } = await inState(`${up.source}/samples/app:v1`, 'waiting', /and is now/);
    expect(promotions[0]?.text).toMatch(/got sha256:\w+ at \S+, and is now sha256:\w+/);
  }, 120_000);

  test('a push that no rule matches is kept as ignored with the nearest rule and the first failed condition', async () => {
    await push('samples/app', 'latest', 'latest');
    const reference = `${up.source}/samples/app:latest`;
    const reason = 'rule staging: tag latest is not in v*';
    const explanation = await until('the event to be ignored', async () => {
      const seen = await explained(reference);
      return seen.ignored.length > 0 ? seen : undefined;
    });
    expect(explanation).toMatchObject({ promoted: false, promotions: [], nearest: reason, ignored: [{ reason }] });
    const { out } = await acrPromoter('explain', reference);
    expect(out).toContain(`${reference}: no rule matches it\n  ${reason}\n`);
    expect((await acrPromoter('runs', '--state', 'ignored', '--wide')).out).toMatch(
      /samples\/app:latest\S* +rule staging: tag latest/,
    );
  }, 120_000);

  test('a promotion whose destination another rule has claimed is refused', async () => {
    await push('samples/app', 'v2');
    await inState(`${up.source}/samples/app:v2`, 'in_sync');
    await push('other/app', 'v2', 'other');
    const reference = `${up.source}/other/app:v2`;
    const { promotions } = await inState(reference, 'refused');
    expect(promotions).toMatchObject([{ rule: 'taken', code: 'DESTINATION_TAKEN', remedy: expect.any(String) }]);
    const { code, out } = await acrPromoter('explain', reference);
    expect(code).toBe(0);
    expect(out).toMatch(/\(rule taken\): refused since .*\n {2}refused: DESTINATION_TAKEN: /);
    expect((await acrPromoter('promotions', '--state', 'refused')).out).toMatch(
      /refused +DESTINATION_TAKEN +.*other\/app:v2/,
    );
  }, 120_000);

  test('a waiting promotion names the missing signature, and cancelling it ends it as cancelled', async () => {
    await push('gated/app', 'v1');
    const reference = `${up.source}/gated/app:v1`;
    const { promotions } = await inState(reference, 'waiting', /no notary signature by/);
    const runId = promotions[0]?.runId ?? '';
    expect((await runs('state=open&repository=gated/app')).map(({ id }) => id)).toEqual([runId]);
    expect(await acrPromoter('runs', 'cancel', runId)).toMatchObject({ code: 0, out: `Cancelled ${runId}\n` });
    const stopped = await inState(reference, 'cancelled');
    expect(stopped.promotions).toMatchObject([{ code: 'RUN_CANCELLED' }]);
    const again = await acrPromoter('promotions', 'run', stopped.promotions[0]?.promotionId ?? '');
    const [, next = ''] = /^Promotion \S+, run (\S+)\n$/.exec(again.out) ?? [];
    expect(next).not.toBe('');
    expect((await http(`runs/${next}`)) as RunRow).toMatchObject({ trigger: { kind: 'http' } });
    await inState(reference, 'waiting', /no notary signature by/);
    await acrPromoter('runs', 'cancel', next);
    await inState(reference, 'cancelled');
  }, 120_000);

  test('an observed promotion lists what it would do', async () => {
    await push('watched/app', 'v1');
    const { promotions } = await inState(`${up.source}/watched/app:v1`, 'observed');
    expect(promotions[0]?.text).toContain('is not there');
  }, 120_000);

  test('a failed promotion has the reason', async () => {
    const repository = client.repository(up.source, 'samples/broken');
    const pushBytes = async (mediaType: string, text: string): Promise<Descriptor> => {
      const bytes = Buffer.from(text);
      const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
      await repository.pushBlob(descriptor, () => Readable.from([bytes]));
      return descriptor;
    };
    const image = {
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      config: await pushBytes(
        OCI_IMAGE_CONFIG,
        `{"rootfs":{"type":"layers","diff_ids":["${digestOf(Buffer.from(''))}"]}}`,
      ),
      layers: [await pushBytes('application/vnd.oci.image.layer.v1.tar+gzip', 'no layer')],
    } as const;
    await repository.pushManifest(encodeManifest(image), OCI_IMAGE_MANIFEST, { tag: 'v1' });
    const reference = `${up.source}/samples/broken:v1`;
    const { promotions } = await inState(reference, 'failed');
    expect(promotions).toMatchObject([{ code: expect.stringMatching(/^[A-Z_]+$/), reason: expect.any(String) }]);
    expect((await acrPromoter('explain', reference)).out).toMatch(
      /failed once, [A-Z_]+: .*; the next push tries again/,
    );
    const wide = await acrPromoter('runs', '--wide', '--state', 'failed', '--repository', 'samples/broken');
    expect(wide.out).toMatch(/failed {2}[A-Z_]+ /);
  }, 120_000);
});

describe('all together', () => {
  test('the command prints what the app answers', async () => {
    for (const [argv, path] of [
      [['promotions'], 'promotions'],
      [['promotions', '--rule', 'staging', '--tag', 'v1'], 'promotions?rule=staging&tag=v1'],
      [['runs', '--state', 'refused'], 'runs?state=refused'],
      [['runs', '--repository', `${up.source}/samples/app`], `runs?repository=${up.source}/samples/app`],
      [['explain', `${up.source}/samples/app:v2`], `promotions?reference=${up.source}/samples/app:v2`],
    ] as const) {
      await alike(argv, path);
    }
  }, 120_000);

  test('the list is the same page by page', async () => {
    const all = await runs('size=100');
    const paged: RunSummary[] = [];
    for (let from = ''; ;) {
      const page = (await http(`runs?size=2${from === '' ? '' : `&from=${from}`}`)) as {
        runs: RunSummary[];
        next?: string;
      };
      paged.push(...page.runs);
      if (page.next === undefined) break;
      from = page.next;
    }
    expect(paged.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    expect(all.length).toBeGreaterThan(6);
  }, 120_000);

  test('each finished run that is not unchanged sends one CloudEvent', async () => {
    const connection = (await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
    const queue = new QueueClient(connection, 'promotion-results');
    const { told, wanted } = await until('a result event of every run', async () => {
      const { peekedMessageItems } = await queue.peekMessages({ numberOfMessages: 32 });
      const events = peekedMessageItems.map(
        ({ messageText }) => JSON.parse(Buffer.from(messageText, 'base64').toString()) as { id: string; type: string },
      );
      const ended = (await runs('state=ended&size=100')).filter(({ result }) => result?.outcome !== 'unchanged');
      if (events.length !== ended.length) return undefined;
      return {
        told: events.map(({ id, type }) => `${id} ${type}`).sort(),
        wanted: ended.map(({ id, kind, result }) => `${id} acr-promoter.${kind}.${result?.outcome}`).sort(),
      };
    });
    expect(told).toEqual(wanted);
  }, 120_000);

  test('the log names each run by its id', async () => {
    const ended = (await runs('size=100')).filter(({ state }) => state === 'ended');
    // A run has ended a moment before the step that says so.
    let log = '';
    await until(
      () => `the ends of ${ended.map(({ id }) => id).join(', ')} in\n${log}`,
      async () => {
        log = await readFile(join(up.dataDir, 'logs', 'host.log'), 'utf8');
        const isTold = ({ id }: RunSummary): boolean =>
          new RegExp(`runId=${id} step="closeRun" done in \\d+ ms`).test(log);
        return ended.every(isTold) || undefined;
      },
      120_000,
    );
    expect(log).toMatch(/onRegistryEvent: .*samples\/app:v1.* runId=\S+/);
  }, 120_000);
});
