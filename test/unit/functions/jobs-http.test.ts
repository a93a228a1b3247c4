import { beforeEach, describe, expect, test } from '@jest/globals';
import { getJob, getOutput, submitJob } from '../../../src/functions/http/jobs.js';
import { startJob } from '../../../src/operations/start-job.js';
import { parseJobMessage } from '../../../src/operations/parse-job.js';
import { keepOutput } from '../../../src/operations/keep-output.js';
import { newWorld, runOf, type World } from '../../support/world.js';

let world: World;

beforeEach(() => {
  world = newWorld();
});

const COPY = { operation: 'copy', id: 'mine', source: 'a.io/b:v1', destination: 'c.io/d:v1' };
const post = (body: unknown) =>
  submitJob(world, { text: async () => (typeof body === 'string' ? body : JSON.stringify(body)) });

interface Submitted {
  id: string;
  runId: string;
  statusUrl: string;
}

describe('POST jobs', () => {
  test('answers 202 with the status URL; the row is written before the message, which is the job', async () => {
    const rowsAtSend: number[] = [];
    world.queues.send = async (queue, text) => {
      rowsAtSend.push((await world.store.listRuns()).items.length);
      world.queues.sent.push({ queue, text, delaySeconds: 0 });
    };
    const answer = await post(COPY);
    const { runId, ...rest } = answer.jsonBody as Submitted;
    expect(answer).toMatchObject({ status: 202, headers: { location: `/api/runs/${runId}` } });
    expect(rest).toEqual({ id: 'mine', statusUrl: `/api/runs/${runId}` });
    expect(rowsAtSend).toEqual([1]);
    const job = { ...COPY, recursive: true };
    expect(await runOf(world, runId)).toMatchObject({ state: 'pending', input: { kind: 'job', job } });
    const [message] = world.queues.sent;
    expect(parseJobMessage(message?.text, { messageId: 'of the queue' })).toEqual({ job });
    const byQueue = { kind: 'queue', id: 'x' } as const;
    expect(await startJob(world, parseJobMessage(message?.text, { messageId: 'x' }).job, byQueue)).toBe(runId);
    expect((await runOf(world, runId)).trigger).toMatchObject({ kind: 'http' });
    expect(world.engine.starts).toEqual([{ orchestration: 'runJob', id: runId, input: { runId } }]);
  });

  test('a repeated id is answered with the first job, which does not change', async () => {
    const first = (await post(COPY)).jsonBody as Submitted;
    expect((await post({ ...COPY, destination: 'c.io/other:v1' })).jsonBody).toEqual(first);
    expect(await runOf(world, first.runId)).toMatchObject({ input: { job: { destination: 'c.io/d:v1' } } });
    // It has not begun: the first message may be lost.
    expect(world.queues.sent).toHaveLength(2);
    const row = await world.store.getRun(first.runId);
    if (row === undefined) throw new Error('no run');
    await world.store.replaceRun({ ...row.value, state: 'running' }, row.version);
    expect((await post(COPY)).jsonBody).toEqual(first);
    expect(world.queues.sent).toHaveLength(2);
  });

  test('twenty parallel jobs with one id have one run', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => post(COPY)));
    expect(new Set(all.map(({ jsonBody }) => (jsonBody as Submitted).runId)).size).toBe(1);
    expect((await world.store.listRuns()).items).toHaveLength(1);
  });

  test('each job without an id is a new one', async () => {
    const { id: _id, ...job } = COPY;
    const [one, two] = [await post(job), await post(job)].map(({ jsonBody }) => jsonBody as Submitted);
    expect(one?.id).not.toBe(two?.id);
    expect(one?.runId).not.toBe(two?.runId);
  });

  test.each<[string, unknown, string, string[]]>([
    ['no JSON', '{', 'JOB_INVALID', ['']],
    ['too long', 'x'.repeat(1024 * 1024 + 1), 'JOB_INVALID', ['']],
    ['no operation', {}, 'JOB_INVALID', ['operation']],
    ['an unknown one', { operation: 'login' }, 'OPERATION_UNKNOWN', ['']],
    [
      'all that is wrong',
      { ...COPY, source: 'B', recursive: 1, id: '/' },
      'JOB_INVALID',
      ['id', 'source', 'recursive'],
    ],
    [
      'names that stand there twice, beside what else is wrong',
      '{"operation":"copy","operation":"copy","source":"a.io/b:v1","files":[{},{"path":"a","p\\u0061th":"b"}]}',
      'JOB_INVALID',
      ['operation', 'files.1.path', 'destination', ''],
    ],
    [
      'and beside a secret',
      '{"operation":"tags","reference":"a.io/b","reference":"a.io/c","password":"hunter2!"}',
      'JOB_HOLDS_SECRET',
      ['password', 'reference'],
    ],
    ['a secret', { ...COPY, password: 'hunter2!' }, 'JOB_HOLDS_SECRET', ['password']],
    [
      'too large for a message',
      {
        operation: 'push',
        reference: 'a.io/b:v1',
        annotations: Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((each) => [each, 'x'.repeat(8000)])),
      },
      'JOB_TOO_LARGE',
      [''],
    ],
  ])('%s: 400, nothing is kept or sent', async (_what, body, code, paths) => {
    const { status, jsonBody } = await post(body);
    const { error } = jsonBody as { error: { code: string; problems: { path: string }[] } };
    expect(status).toBe(400);
    expect(error.code).toBe(code);
    expect(error.problems.map(({ path }) => path)).toEqual(paths);
    expect(JSON.stringify(jsonBody)).not.toContain('hunter2');
    expect((await world.store.listRuns()).items).toEqual([]);
    expect(world.queues.sent).toEqual([]);
  });

  test('an error of storage is not answered as an error of the job', async () => {
    world.store.claimJob = async () => {
      throw new Error('down');
    };
    await expect(post(COPY)).rejects.toThrow('down');
  });
});

describe('GET jobs and outputs', () => {
  test('finds a job by its id and by its run’s id, with its steps', async () => {
    const { runId } = (await post(COPY)).jsonBody as Submitted;
    for (const id of ['mine', runId]) {
      expect((await getJob(world, id)).jsonBody).toMatchObject({ id: runId, state: 'pending', steps: [] });
    }
    // Another's job can't have that for its own id.
    expect(await post({ ...COPY, id: runId })).toMatchObject({
      status: 400,
      jsonBody: { error: { code: 'JOB_INVALID' } },
    });
    expect((await getJob(world, runId)).jsonBody).toMatchObject({ id: runId });
    expect(await getJob(world, 'nobody')).toMatchObject({
      status: 404,
      jsonBody: { error: { code: 'JOB_UNKNOWN', remedy: expect.stringContaining('acr-promoter jobs list') } },
    });
    // Asking is no claim.
    expect(await world.store.findJob('nobody')).toBeUndefined();
  });

  test('returns an output from the row and from a document', async () => {
    const { runId } = (await post(COPY)).jsonBody as Submitted;
    expect(await getOutput(world, runId)).toMatchObject({
      status: 404,
      jsonBody: { error: { code: 'OUTPUT_UNKNOWN' } },
    });
    await keepOutput(world, runId, { small: true });
    expect(await getOutput(world, runId)).toEqual({ jsonBody: { small: true } });
    const large = { tags: Array.from({ length: 5000 }, (_, at) => `tag-${at}`) };
    await keepOutput(world, runId, large);
    const { body } = await getOutput(world, runId);
    expect(JSON.parse(Buffer.from(body as Uint8Array).toString())).toEqual(large);
    expect(await getOutput(world, 'nobody')).toMatchObject({
      status: 404,
      jsonBody: { error: { code: 'RUN_UNKNOWN' } },
    });
  });
});
