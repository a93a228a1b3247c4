import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { HttpRequest, InvocationContext, type HttpResponseInit } from '@azure/functions';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { register } from '../../../support/registered.js';
import { run } from '../../../../src/cli/run.js';
import { TransportError } from '../../../../src/oci/index.js';
import { closePromotion } from '../../../../src/rows/generation.js';
import { rule } from '../../../support/rules.fixture.js';
import { pushImage } from '../../../support/images.js';
import { DESTINATION, REGISTRY, SOURCE, newWorld, openRun, type World } from '../../../support/world.js';
import { createMemoryIo } from '../../../support/memory-io.js';
import { shortPauses } from '../../../support/short-pauses.js';

shortPauses();

// `promotions`, `runs` and `explain` against the app's own HTTP functions, over ports in memory.

let world: World;
let server: Server;
let url: string;
/** What the app answers where it has no such function (yet): by method and path. */
let answers: Record<string, unknown>;
let asked: string[];
/** What was sent to it. */
let bodies: string[];

beforeEach(async () => {
  world = newWorld();
  answers = {};
  asked = [];
  bodies = [];
  const app = register(world);
  const context = new InvocationContext({ functionName: 'http', logHandler: () => {} });
  server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', url);
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const [, kind = '', id] = /^\/api\/(promotions|runs)(?:\/([^/]*))?$/.exec(pathname) ?? [];
    const names: Record<string, [string, string]> = {
      promotions: ['listPromotions', 'getPromotion'],
      runs: ['listRuns', 'getRun'],
    };
    const own = answers[`${request.method ?? ''} ${pathname}`];
    const name = names[kind]?.[id === undefined ? 0 : 1];
    const answer = async (): Promise<HttpResponseInit> => {
      bodies.push(await text(request));
      if (own !== undefined) return { jsonBody: own };
      const handler = app.functions.get(name ?? '')?.handler;
      if (handler === undefined) return { status: 404, jsonBody: {} };
      const asking = { method: 'GET', url: `http://h/?${searchParams.toString()}`, params: { id: id ?? '' } } as const;
      return (await handler(new HttpRequest(asking), context)) as HttpResponseInit;
    };
    void answer().then(({ status = 200, jsonBody }) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(jsonBody));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function acrPromoter(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo({ env: { ACR_PROMOTER_APP: url } });
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}
const http = async (path: string): Promise<unknown> => (await fetch(`${url}/api/${path}`)).json();
const json = async (...argv: string[]): Promise<unknown> => {
  const { code, out, err } = await acrPromoter(...argv, '--format', 'json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
};

const DIGEST = `sha256:${'a1'.repeat(32)}`;

async function failedRun(): Promise<{ promotionId: string; runId: string }> {
  const opened = await openRun(world);
  const { runId } = opened;
  const startedAt = world.now().toISOString();
  world.nowMs += 61_000;
  const step = {
    runId,
    step: 'copyGraph',
    text: 'DENIED: \u001b[31mno',
    startedAt,
    updatedAt: world.now().toISOString(),
  };
  await world.store.putProgress({ ...step, state: 'failed', doneNodes: 1, totalNodes: 3, doneBytes: 5, totalBytes: 9 });
  const result = { outcome: 'failed', code: 'DENIED', reason: 'no', remedy: 'Ask.', digest: DIGEST } as const;
  await closePromotion(world, opened.promotionId, runId, { generation: 1, result, rule: rule() });
  return opened;
}

describe('runs', () => {
  test('a filtered list is printed as columns, and as the app’s JSON', async () => {
    const { runId } = await failedRun();
    world.nowMs += 1000;
    await openRun(world, rule({ name: 'other' }));
    const { code, out } = await acrPromoter('runs', '--state', 'failed');
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^ID +STATE +SOURCE +RULE +AGE +TOOK$/),
      expect.stringMatching(
        new RegExp(`^${runId}  failed  ${REGISTRY}/samples/app:v1  staging  \\d+[smhd] +1 min 1 s$`),
      ),
      '',
    ]);
    const wide = (await acrPromoter('runs', '--state', 'failed', '--wide')).out.split('\n');
    expect(wide[0]).toMatch(/^ID +STATE +CODE +SOURCE +RULE +OPENED +TOOK +DIGEST +TRIGGER$/);
    expect(wide[1]).toContain(`${runId}  failed  DENIED  `);
    expect(wide[1]).toMatch(new RegExp(`  \\S+Z  1 min 1 s  ${DIGEST}  push$`));
    expect(await json('runs', '--rule', 'other')).toEqual(await http('runs?rule=other'));
    expect(await json('runs', '--digest', DIGEST, '--repository', SOURCE.repository)).toEqual(
      await http(`runs?digest=${DIGEST}`),
    );
  });

  test('--limit is reached over several pages', async () => {
    for (let count = 0; count < 3; count += 1) await openRun(world, rule(), { ...SOURCE, tag: `v${count}` });
    const { out, err } = await acrPromoter('runs', '--limit', '2');
    expect(out.trim().split('\n')).toHaveLength(3);
    expect(err).toContain('More results');
    expect((await acrPromoter('runs', '--limit', '3')).err).toBe('');
  });

  test('--state ignored lists ignored events', async () => {
    await world.store.addIgnored({ at: '2026-01-01T00:00:00.000Z', reference: 'r.io/a:b', reason: 'no rule' });
    const { out } = await acrPromoter('runs', '--state', 'ignored');
    expect(out).toMatch(/^AGE {3}TIMES {2}REFERENCE {2}REASON\n\d+d {2}1 {6}r\.io\/a:b {3}no rule\n$/);
    expect((await acrPromoter('runs', '--state', 'ignored', '--wide')).out).toMatch(
      /^LAST SEEN +TIMES .*\n2026-01-01T00:00:00\.000Z /,
    );
  });

  test('--state ignored passes --since on, and refuses filters that ignored events do not have', async () => {
    const ignored = (...argv: string[]): Promise<object> => acrPromoter('runs', '--state', 'ignored', ...argv);
    expect(await ignored()).toEqual({ code: 0, out: '', err: 'There are no ignored events.\n' });
    await world.store.addIgnored({ at: '2026-01-01T00:00:00.000Z', reference: 'r.io/a:b', reason: 'no rule' });
    expect(await ignored('--since', '1h')).toEqual({
      code: 0,
      out: '',
      err: 'No ignored events match --since 1h.\n',
    });
    expect(await ignored('--since', '2026-01-01T00:00Z')).toMatchObject({ out: expect.stringContaining('r.io/a:b') });
    expect(await ignored('--rule', 'staging', '--digest', 'a1a1a1')).toEqual({
      code: 1,
      out: '',
      err: `Error: --state ignored and --rule, --digest exclude each other (OPTIONS_EXCLUSIVE)
Omit --rule, --digest: the only filter of ignored events is --since.
`,
    });
  });

  test.each([['runs'], ['runs', 'show']])(
    '%s %s: one, with its steps, and nothing that a terminal would act upon',
    async (...verb) => {
      const { runId } = await failedRun();
      const { code, out } = await acrPromoter(...verb, runId);
      expect(code).toBe(0);
      expect(out.split('\n')).toEqual([
        `${runId}: failed`,
        `rule staging, ${REGISTRY}/samples/app:v1 -> ${DESTINATION}`,
        expect.stringMatching(/^opened \S+Z by push, took 1 min 1 s$/),
        'DENIED: no',
        'Ask.',
        '',
        expect.stringMatching(/^STEP +STATE +TOOK +PROGRESS +TEXT$/),
        'copyGraph  failed  1 min 1 s  1 of 3 nodes, 5 of 9 bytes  DENIED: ?[31mno',
        '',
      ]);
      expect(await json(...verb, runId)).toEqual(await http(`runs/${runId}`));
    },
  );

  test('cancel asks the app, and takes options after the verb', async () => {
    answers['POST /api/runs/r1/cancel'] = { id: 'r1' };
    expect(await acrPromoter('runs', 'cancel', '--app', url, 'r1')).toEqual({
      code: 0,
      out: 'Cancelled r1\n',
      err: '',
    });
    expect(asked).toEqual(['POST /api/runs/r1/cancel']);
    expect(bodies).toEqual(['{}']);
    await acrPromoter('runs', 'cancel', '--by', 'ana', '--reason', 'the wrong tag', 'r1');
    expect(JSON.parse(bodies[1] ?? '')).toEqual({ by: 'ana', reason: 'the wrong tag' });
  });

  test.each(['runs', 'promotions', 'runs --state ignored'])('%s: a table is what it is as text', async (line) => {
    await failedRun();
    const words = line.split(' ');
    const shown = await acrPromoter(...words);
    expect(shown.code).toBe(0);
    expect(await acrPromoter(...words, '--format', 'table')).toEqual(shown);
    expect((await acrPromoter(...words, '--format', 'xml')).err).toContain('json, go-template, text, table');
    const template = ['--format', 'go-template={{len .runs}}'];
    if (line === 'runs') expect((await acrPromoter(...words, ...template)).out).toBe('1');
    expect((await acrPromoter('explain', '--format', 'table', 'r.io/a:v1')).code).toBe(1);
  });

  test('errors of the app are printed unchanged', async () => {
    expect(await acrPromoter('runs', '--state', 'asleep')).toMatchObject({
      code: 1,
      err: expect.stringContaining('(FILTER_INVALID)'),
    });
    expect((await acrPromoter('runs', 'no-body')).err).toContain('(RUN_UNKNOWN)\nList runs: acr-promoter runs');
    expect((await acrPromoter('runs', 'shwo')).err).toBe(
      'Error: unknown command "shwo" for "acr-promoter runs"\nDid you mean show?\nRun "acr-promoter runs --help" for usage.\n',
    );
    expect((await acrPromoter('runs', 'a', 'b')).err).toContain('requires at most 1 argument but got 2');
    expect((await acrPromoter('runs', '--limit', '0')).err).toContain('(OPTION_INVALID)');
  });
});

describe('a table', () => {
  test('fits 100 columns, and keeps the end of references', async () => {
    const repository = `team/${'x'.repeat(150)}/app`;
    const { runId } = await openRun(world, rule(), { ...SOURCE, repository, tag: 'v1.2.3' });
    const step = { runId, step: 'copy', state: 'working', text: 'y'.repeat(300) } as const;
    const at = world.now().toISOString();
    await world.store.putProgress({ ...step, startedAt: at, updatedAt: at });
    await world.store.addIgnored({ at, reference: `r.io/${repository}:v1`, reason: 'z'.repeat(300) });
    for (const line of ['promotions', 'runs', 'runs --state ignored', `runs show ${runId}`]) {
      const { out } = await acrPromoter(...line.split(' '));
      const table = out.split('\n').slice(line.startsWith('runs show') ? out.split('\n').indexOf('') : 0);
      expect(Math.max(...table.map(({ length }) => length))).toBe(100);
      expect(out).toContain('…');
      const wide = (await acrPromoter(...line.split(' '), '--wide')).out;
      expect(wide).not.toContain('…');
    }
    expect((await acrPromoter('runs')).out).toMatch(/ {2}…x+\/app:v1\.2\.3 {2}/);
    for (const outColumns of [90, 140]) {
      const { io, out } = createMemoryIo({ env: { ACR_PROMOTER_APP: url, NO_COLOR: '1' } });
      await run(['runs'], { ...io, outColumns });
      expect(
        Math.max(
          ...out()
            .toString()
            .split('\n')
            .map(({ length }) => length),
        ),
      ).toBe(outColumns);
    }
  });

  test.each(['runs', 'jobs list'])('%s shows the whole image, if one of the runs has an error code', async (line) => {
    const repository = 'samples/web/hello';
    const rules = rule({ name: 'a-rule-with-a-rather-long-name' });
    const { promotionId, runId } = await openRun(world, rules, { ...SOURCE, repository });
    const result = { outcome: 'failed', code: 'UPSTREAM_CERTIFICATE_UNTRUSTED', reason: 'no' } as const;
    await closePromotion(world, promotionId, runId, { generation: 1, result, rule: rules });
    const job = { operation: 'copy', id: 'j', source: `${REGISTRY}/${repository}:v1`, destination: 'q.io/a:v1' };
    const times = { openedAt: new Date().toISOString(), finishedAt: new Date().toISOString() };
    const row = { id: '7zz-job', input: { kind: 'job', runId: '7zz-job', job }, state: 'ended', result } as const;
    await world.store.insertRun({ ...row, ...times });
    const { out } = await acrPromoter(...line.split(' '));
    expect(out).toContain(`${repository}:v1  `);
    expect(out).not.toContain('UPSTREAM');
    expect((await acrPromoter(...line.split(' '), '--wide')).out).toContain('  UPSTREAM_CERTIFICATE_UNTRUSTED  ');
  });

  test('cuts the registry of a reference first, and as a whole', async () => {
    const repository = 'samples/web/frontend';
    await openRun(world, rule({ name: 'x'.repeat(40) }), { registry: 'a-long-name.azurecr.io', repository, tag: 'v1' });
    expect((await acrPromoter('runs')).out).toContain(`  …/${repository}:v1  `);
  });

  test('has colours on a terminal only, and none with NO_COLOR', async () => {
    await failedRun();
    const shown = async (options: { outColumns?: number; env?: Record<string, string> }): Promise<string> => {
      const { io, out } = createMemoryIo({ env: { ACR_PROMOTER_APP: url, ...options.env } });
      await run(['promotions'], { ...io, ...options, env: io.env });
      return out().toString();
    };
    const plain = await shown({});
    expect(plain).not.toContain('\u001b');
    expect(await shown({ outColumns: 100, env: { NO_COLOR: '1' } })).toBe(plain);
    const colored = await shown({ outColumns: 100 });
    expect(colored).toContain('\u001b[31mfailed\u001b[39m  DENIED');
    expect(stripVTControlCharacters(colored)).toBe(plain);
  });

  test('status and errors have colours on a terminal, too', async () => {
    const problems = [{ code: 'X', message: 'it fails' }];
    answers['GET /api/status'] = { ok: false, version: '1', settings: [], problems, warnings: problems };
    const terminal = { write: () => undefined, columns: () => 80, rows: () => 24 };
    const { io, out, err } = createMemoryIo({ env: { ACR_PROMOTER_APP: url }, terminal });
    expect(await run(['status'], { ...io, outColumns: 80 })).toBe(1);
    expect(out().toString()).toContain('\u001b[31mno\u001b[39m');
    expect(out().toString()).toContain('\u001b[31mProblem:\u001b[39m it fails');
    expect(out().toString()).toContain('\u001b[33mWarning:\u001b[39m it fails');
    expect(err().startsWith('\u001b[31mError:\u001b[39m ')).toBe(true);
  });

  test('--watch prints what changes, until it is interrupted', async () => {
    const stop = new AbortController();
    const { io, out } = createMemoryIo({ env: { ACR_PROMOTER_APP: url }, signal: stop.signal });
    await openRun(world, rule(), { ...SOURCE, tag: 'v1-with-a-long-name' });
    const watching = run(['runs', '--watch'], io);
    while (!out().toString().includes(':v1')) await new Promise((resolve) => setTimeout(resolve, 20));
    await openRun(world, rule(), { ...SOURCE, tag: 'v2' });
    while (!out().toString().includes(':v2')) await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort();
    expect(await watching).toBe(130);
    expect(out().toString().match(/:v1/g)).toHaveLength(1);
    const [heading = '', ...rows] = out().toString().trimEnd().split('\n');
    expect(rows.map((row) => row.indexOf('staging'))).toEqual([heading.indexOf('RULE'), heading.indexOf('RULE')]);
  });
});

describe('jobs', () => {
  test('list shows jobs only, with the filters of runs', async () => {
    await openRun(world);
    const job = { operation: 'copy', id: 'my-copy', source: `${REGISTRY}/samples/app:v1`, destination: 'q.io/a:v1' };
    const row = { input: { kind: 'job', runId: '7zz-job', job }, state: 'pending' } as const;
    await world.store.insertRun({ ...row, id: '7zz-job', openedAt: new Date().toISOString() });
    expect((await acrPromoter('jobs', 'list')).out.split('\n')).toEqual([
      expect.stringMatching(/^ID +STATE +OPERATION +SOURCE +AGE +TOOK$/),
      expect.stringMatching(new RegExp(`^my-copy  pending  copy +${REGISTRY}/samples/app:v1  \\d+s +-$`)),
      '',
    ]);
    expect((await acrPromoter('jobs', 'list', '--operation', 'tag')).err).toBe('No jobs match --operation tag.\n');
    const { runs } = (await http('runs?kind=job')) as { runs: { id: string; jobId: string }[] };
    expect(runs).toHaveLength(1);
    expect(await json('jobs', 'list', '--state', 'open')).toEqual({
      jobs: runs.map(({ jobId, ...run }) => ({ ...run, id: jobId, runId: run.id })),
    });
    expect(await acrPromoter('jobs', 'list', '--operation', 'nope')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/there is no operation nope \(FILTER_INVALID\)\nGive one of .*copy.*tag/),
    });
  });

  test('runs show prints the fields of the job, and why it was asked for', async () => {
    const job = { operation: 'tag', id: 'my-tag', reference: `${REGISTRY}/samples/app:v1`, tags: ['v2'] };
    const openedAt = new Date().toISOString();
    const trigger = { kind: 'http', id: 'm1', reason: 'ticket 42', at: openedAt } as const;
    await world.store.insertRun({
      id: '7zz-tag',
      input: { kind: 'job', runId: '7zz-tag', job },
      state: 'pending',
      openedAt,
      trigger,
    });
    expect((await acrPromoter('runs', 'show', '7zz-tag')).out.split('\n')).toEqual([
      '7zz-tag: pending',
      'job my-tag, tag',
      `  reference: ${REGISTRY}/samples/app:v1`,
      '  tags: ["v2"]',
      expect.stringMatching(/^opened \S+ by http m1 \(ticket 42\), so far /),
      '',
    ]);
  });

  test('cancel takes the id of the job, and sends who cancels and why', async () => {
    const input = { job: { operation: 'copy', id: 'my-copy' } };
    answers['GET /api/jobs/my-copy'] = { id: '7zz-job', state: 'running', input };
    answers['POST /api/runs/7zz-job/cancel'] = { runId: '7zz-job' };
    const line = ['jobs', 'cancel', 'my-copy', '--by', 'ana', '--reason', 'the wrong tag'];
    expect(await acrPromoter(...line)).toEqual({ code: 0, out: 'Cancelled my-copy\n', err: '' });
    expect(JSON.parse(bodies.at(-1) ?? '')).toEqual({ by: 'ana', reason: 'the wrong tag' });
  });
});

describe('promotions', () => {
  test('a filtered list is printed as columns, and as the app’s JSON', async () => {
    const { promotionId } = await failedRun();
    const { out } = await acrPromoter('promotions', '--repository', `${REGISTRY}/samples/app`, '--tag', 'v1');
    expect(out.split('\n')[1]).toMatch(
      new RegExp(`^failed  DENIED  ${REGISTRY}/samples/app:v1  staging  ${DIGEST.slice(7, 19)}  \\d+[smhd]$`),
    );
    const wide = (await acrPromoter('promotions', '--wide')).out.split('\n')[1];
    expect(wide).toMatch(new RegExp(`  ${DESTINATION}  staging  ${DIGEST}  \\S+Z  ${promotionId}$`));
    expect(await json('promotions', '--state', 'failed')).toEqual(await http('promotions?state=failed'));
    expect(await json('promotions', '--state', 'in_sync')).toEqual({ promotions: [] });
  });

  test('run asks the app for a run', async () => {
    answers['POST /api/promotions/p1/run'] = { promotionId: 'p1', runId: 'r9' };
    const started = { code: 0, out: 'Promotion p1, run r9\n', err: '' };
    expect(await acrPromoter('promotions', 'run', 'p1', '--app', url)).toEqual(started);
    answers['POST /api/promotions/p1/run'] = { promotionId: 'p1' };
    expect((await acrPromoter('promotions', 'run', 'p1')).out).toContain('starts at the next schedule tick');
    expect(asked).toEqual(['POST /api/promotions/p1/run', 'POST /api/promotions/p1/run']);
  });

  test.each([
    ['source', `${REGISTRY}/samples/app:v1`],
    ['destination', DESTINATION],
  ])('run takes the %s, and --wait prints the outcome and fails with its code', async (_, reference) => {
    const { promotionId } = await failedRun();
    answers[`POST /api/promotions/${promotionId}/run`] = { promotionId, generation: 1, runId: 'r9' };
    expect((await acrPromoter('promotions', 'run', reference)).out).toBe(`Promotion ${promotionId}, run r9\n`);
    expect(await acrPromoter('promotions', 'run', '--wait', reference)).toEqual({
      code: 1,
      out: `Failed [staging] ${REGISTRY}/samples/app:v1 => ${DESTINATION}: no\nDigest: ${DIGEST}\n`,
      err: 'Error: no (DENIED)\nAsk.\n',
    });
    answers[`POST /api/promotions/${promotionId}/run`] = { promotionId, generation: 2, runId: 'r9' };
    const late = await acrPromoter('promotions', 'run', '--wait', '--timeout', '1', reference);
    expect(late.err).toContain('(WAIT_TIMEOUT)');
  });

  test('run of a tag without a promotion says what to do about it', async () => {
    const reference = `${REGISTRY}/samples/app:v9`;
    const errorOf = async (name: string): Promise<string> => {
      const { code, err } = await acrPromoter('promotions', 'run', name);
      expect(code).toBe(1);
      return err;
    };
    expect(await errorOf(reference)).toContain('the tag does not exist (PROMOTION_UNKNOWN)\nPush it, or correct');
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v9' });
    expect(await errorOf(reference)).toContain(
      `(PROMOTION_UNKNOWN)\nStart its first run: acr-promoter promote --submit ${reference}\n`,
    );
    expect(await errorOf(`${REGISTRY}/other/app:v9`)).toMatch(
      /: no rule matches it: .*\(PROMOTION_UNKNOWN\)\nChange a rule .* acr-promoter copy -r \S+ DESTINATION\n/,
    );
  });

  test('filters that nothing matches are repeated, and an unknown rule is an error', async () => {
    expect(await acrPromoter('promotions')).toMatchObject({ code: 0, err: 'There are no promotions.\n' });
    const none = await acrPromoter('promotions', '--tag', 'v*', '--since', '1h');
    expect(none).toMatchObject({ code: 0, err: 'No promotions match --tag v* --since 1h.\n' });
    expect((await acrPromoter('promotions', '--rule', 'nope')).err).toContain('(RULE_UNKNOWN)\nThe rules are: ');
  });
});

describe('explain', () => {
  test('prints the state of a tag and the reason, as the app answers', async () => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v1' });
    const { promotionId, runId } = await failedRun();
    const reference = `${REGISTRY}/samples/app:v1`;
    const { code, out } = await acrPromoter('explain', reference);
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(new RegExp(`^${reference} -> ${DESTINATION} \\(rule staging\\): failed since \\S+Z$`)),
      expect.stringMatching(/^ {2}failed once, DENIED: no; the schedule tries again after \S+Z$/),
      '  Ask.',
      `  promotion ${promotionId}, run ${runId}`,
      '',
    ]);
    expect(await json('explain', reference)).toEqual(await http(`promotions?reference=${reference}`));
    expect((await acrPromoter('explain', '--format', 'go-template={{.promoted}}', reference)).out).toBe('false');
  });

  test('a registry that does not answer makes the answer unknown, in text, in JSON, and as exit code 3', async () => {
    const source = world.registries.repository(REGISTRY, SOURCE.repository);
    const { digest } = await pushImage(source, { tag: 'v1' });
    await pushImage(world.registries.repository(REGISTRY, 'staging/samples/app'), { tag: 'v1' });
    const unsigned = rule({ sign: [] });
    world.ruleList = [unsigned];
    const { promotionId, runId } = await openRun(world);
    await closePromotion(world, promotionId, runId, {
      generation: 1,
      rule: unsigned,
      result: { outcome: 'promoted', digest },
    });
    source.fault = () => {
      throw new TransportError('CONNECT_FAILED', 'nobody answers', { remedy: 'Look at the network.' });
    };
    const reference = `${REGISTRY}/samples/app:v1`;
    const { code, out, err } = await acrPromoter('explain', reference);
    expect({ code, err }).toEqual({ code: 3, err: expect.stringContaining('(PROMOTION_UNCHECKED)') });
    expect(out).toMatch(/\(rule staging\): in_sync since \S+Z\n.*could not be checked\n/);
    expect(out).toMatch(/ {2}could not check the source \S+ since \S+Z: CONNECT_FAILED: nobody answers\n/);
    const asJson = await acrPromoter('explain', '--format', 'json', reference);
    expect(asJson.code).toBe(3);
    expect(JSON.parse(asJson.out)).toMatchObject({
      promoted: null,
      promotions: [{ state: 'in_sync', checks: { source: { state: 'unknown', code: 'CONNECT_FAILED' } } }],
    });
    source.fault = undefined;
    expect((await acrPromoter('explain', reference)).code).toBe(0);
  });

  test('of a tag without a promotion prints no id and no state', async () => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v1' });
    const { out } = await acrPromoter('explain', `${REGISTRY}/samples/app:v1`);
    expect(out).toContain('(rule staging): not started\n');
    expect(out).not.toContain('promotion ');
  });

  test('--exit-code is 0 if it is promoted, 2 if not', async () => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v1' });
    await failedRun();
    const reference = `${REGISTRY}/samples/app:v1`;
    expect((await acrPromoter('explain', reference)).code).toBe(0);
    expect(await acrPromoter('explain', '--exit-code', reference)).toMatchObject({
      code: 2,
      err: expect.stringContaining('(NOT_PROMOTED)'),
    });
  });

  test('--watch prints each change, and ends when nothing more comes by itself', async () => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v1' });
    const reference = `${REGISTRY}/samples/app:v1`;
    const opened = await openRun(world);
    const { io, out } = createMemoryIo({ env: { ACR_PROMOTER_APP: url } });
    const watching = run(['explain', '--watch', '--exit-code', reference], io);
    while (!out().toString().includes('): working')) await new Promise((resolve) => setTimeout(resolve, 20));
    const result = { outcome: 'refused', code: 'DESTINATION_TAKEN', reason: 'no', digest: DIGEST } as const;
    await closePromotion(world, opened.promotionId, opened.runId, { generation: 1, result, rule: rule() });
    expect(await watching).toBe(2);
    expect(
      out()
        .toString()
        .match(/\(rule staging\): \w+/g),
    ).toEqual(['(rule staging): working', '(rule staging): refused']);
  });

  test('a repository, a destination and the first characters of a digest are explained', async () => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v1' });
    const { promotionId } = await failedRun();
    for (const text of [
      promotionId,
      `${REGISTRY}/samples/app`,
      DESTINATION,
      `${REGISTRY}/staging/samples/app`,
      DIGEST.slice(7, 19),
    ]) {
      expect((await acrPromoter('explain', text)).out).toContain(`promotion ${promotionId}, run `);
    }
    expect((await acrPromoter('explain', `${REGISTRY}/nope`)).out).toBe(
      `${REGISTRY}/nope: no promotion has it; no rule matches it\n`,
    );
  });

  test('the states of explain are those of the list', async () => {
    await pushImage(world.registries.repository(REGISTRY, SOURCE.repository), { tag: 'v1' });
    await failedRun();
    const { promotions } = (await json('promotions')) as { promotions: { state: string }[] };
    const explained = (await json('explain', `${REGISTRY}/samples/app:v1`)) as { promotions: { state: string }[] };
    expect(explained.promotions.map(({ state }) => state)).toEqual(promotions.map(({ state }) => state));
  });
});

describe('status', () => {
  const identity = { version: '1.2.3', settings: ['PROMOTION_RULES', 'SIGNING_KEY'] };

  test('prints the settings and queues of an app that works', async () => {
    answers['GET /api/status'] = {
      ok: true,
      ...identity,
      problems: [],
      warnings: [{ code: 'MESSAGES_POISONED', message: 'jobs-poison holds 2 messages', remedy: 'Read them.' }],
      paused: false,
      registries: [{ host: 'a.azurecr.io', signIn: 'identity' }],
      rules: { count: 2, since: '2026-11-30T00:00:00.000Z' },
      backlog: { 'registry-events': 3, jobs: 0 },
      poison: { 'registry-events-poison': 0, 'jobs-poison': 2 },
      later: { a: 'newer app says more' },
    };
    expect(await acrPromoter('status')).toEqual({
      code: 0,
      err: '',
      out: [
        'Works       yes',
        'Version     1.2.3',
        'Paused      no',
        'Rules       2, unchanged since 2026-11-30T00:00:00.000Z',
        'Registries  a.azurecr.io (identity)',
        'Backlog     registry-events 3, jobs 0',
        'Poison      registry-events-poison 0, jobs-poison 2',
        'Settings    PROMOTION_RULES, SIGNING_KEY',
        'Warning: jobs-poison holds 2 messages (MESSAGES_POISONED)',
        '  Read them.',
        '',
      ].join('\n'),
    });
    expect(await json('status')).toEqual(answers['GET /api/status']);
    expect((await acrPromoter('status', '--format', 'go-template={{.backlog.jobs}}')).out).toBe('0');
  });

  test('prints all problems, as text and as JSON, and exits with 1', async () => {
    const problems = [
      { code: 'SETTINGS_INVALID', setting: 'PROMOTION_SCHEDULE', message: 'is no schedule', remedy: 'Correct it.' },
      { code: 'SIGNING_KEY_UNREADABLE', setting: 'SIGNING_KEY', message: 'SIGNING_KEY: a.pem cannot be read' },
    ];
    answers['GET /api/status'] = { ok: false, ...identity, problems, warnings: [] };
    const { code, out, err } = await acrPromoter('status');
    expect({ code, out }).toEqual({
      code: 1,
      out: [
        'Works       no',
        'Version     1.2.3',
        'Settings    PROMOTION_RULES, SIGNING_KEY',
        'Problem: PROMOTION_SCHEDULE: is no schedule (SETTINGS_INVALID)',
        '  Correct it.',
        'Problem: SIGNING_KEY: a.pem cannot be read (SIGNING_KEY_UNREADABLE)',
        '',
      ].join('\n'),
    });
    expect(err).toMatch(/PROMOTION_SCHEDULE, SIGNING_KEY \(APP_NOT_WORKING\)/);
    const asJson = await acrPromoter('status', '--format', 'json');
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.out)).toEqual(answers['GET /api/status']);
  });

  test('an answer that is not the app’s is an error', async () => {
    answers['GET /api/status'] = { hello: true };
    expect((await acrPromoter('status')).err).toContain('(APP_ANSWER_INVALID)');
  });
});
