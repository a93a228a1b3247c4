import { QueueServiceClient } from '@azure/storage-queue';
import { expect } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ORCHESTRATION_VERSION } from '../../../src/promotions/orchestration-version.js';
import { until } from '../../support/stack/everything.js';
import { pushImage } from './push.js';
import type { Row } from './row.js';
import type { Pushed, Stage } from './stage.js';

/** Attacks 11 and 13: what has ended is not done again, and what could not be checked is not claimed. */
const TAG = 'v1';
const contains = 'left-pad';

const plainImage: Row['attack'] = async (_stage, at) => {
  const image = await pushImage(at, { tag: TAG, contains });
  return { tag: TAG, root: image, images: [{ image, contains }] };
};

/** No rule reads or writes it. */
const copyOf = ({ repository }: Pushed): string => `copies/${repository}`;

function copyJob({ up }: Stage, pushed: Pushed, id: string): Record<string, unknown> {
  const source = `${up.source}/${pushed.repository}@${pushed.root.digest}`;
  return { operation: 'copy', id, source, destination: `${up.source}/${copyOf(pushed)}:${TAG}` };
}

async function send({ up }: Stage, job: unknown): Promise<void> {
  const connection = (await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
  await QueueServiceClient.fromConnectionString(connection).getQueueClient('jobs').sendMessage(JSON.stringify(job));
}

function done({ up }: Stage, id: string): Promise<{ id: string; finishedAt: string }> {
  return until(`the job ${id}`, async () => {
    const answer = await fetch(`${up.hostUrl}/api/jobs/${id}`);
    if (!answer.ok) return undefined;
    const run = (await answer.json()) as {
      id: string;
      state: string;
      finishedAt: string;
      result?: { outcome: string };
    };
    if (run.state !== 'ended') return undefined;
    expect(run.result).toMatchObject({ outcome: 'completed' });
    return run;
  });
}

/** Asks the engine to start a run that has ended, as a host does that was frozen between its row and the engine. */
async function startLate({ up }: Stage, runId: string): Promise<void> {
  const engine = `${up.hostUrl}/runtime/webhooks/durabletask`;
  const instance = async (): Promise<{ runtimeStatus: string; output: unknown }> =>
    (await (await fetch(`${engine}/instances/${runId}`)).json()) as { runtimeStatus: string; output: unknown };
  const isOver = async (): Promise<true | undefined> =>
    (await instance()).runtimeStatus === 'Completed' ? true : undefined;
  await until('the instance to end', isOver);
  const body = JSON.stringify({ runId, version: ORCHESTRATION_VERSION });
  expect((await fetch(`${engine}/orchestrators/runJob/${runId}`, { method: 'POST', body })).status).toBe(202);
  await until('the instance to end again', isOver);
  // Its first step refused it.
  expect((await instance()).output).toBeNull();
}

interface Explained {
  promoted: boolean | null;
  promotions: { promoted: boolean | null; checks: Record<string, { state: string; code?: string; since?: string }> }[];
}

async function explained({ up }: Stage, { repository, tag }: Pushed): Promise<Explained> {
  const reference = encodeURIComponent(`${up.source}/${repository}:${tag}`);
  return (await (await fetch(`${up.hostUrl}/api/promotions?reference=${reference}`)).json()) as Explained;
}

/** The exit code of `acr-promoter explain`. */
function explainCode({ up }: Stage, { repository, tag }: Pushed): Promise<number> {
  const args = ['bin/acr-promoter.mjs', 'explain', '--app', up.hostUrl, `${up.source}/${repository}:${tag}`];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error) => resolve(typeof error?.code === 'number' ? error.code : 0));
  });
}

async function frozen<T>({ up }: Stage, name: string, work: () => Promise<T>): Promise<T> {
  const pid = await up.processId(name);
  process.kill(pid, 'SIGSTOP');
  try {
    return await work();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

function hangs(registry: 'source' | 'staging', unknown: string[]): Row {
  return {
    statement: `explain does not say that an image is promoted while the registry ${registry} gives no answer`,
    attack: plainImage,
    demand: async (stage, pushed) => {
      await stage.expectPromoted(pushed);
      const [answer, code] = await frozen(stage, `registry-${registry}`, async () => [
        await explained(stage, pushed),
        await explainCode(stage, pushed),
      ]);
      expect(answer).toMatchObject({ promoted: null, promotions: [{ promoted: null }] });
      for (const [part, check] of Object.entries(answer.promotions[0]?.checks ?? {})) {
        const wanted = unknown.includes(part)
          ? { state: 'unknown', code: 'TIMEOUT', since: expect.stringMatching(/Z$/) }
          : { state: 'there' };
        expect({ part, ...check }).toMatchObject({ part, ...wanted });
      }
      expect(code).toBe(3);
    },
    twin: plainImage,
    verifyTwin: async (stage, pushed) => {
      expect(await explained(stage, pushed)).toMatchObject({
        promoted: true,
        promotions: [
          {
            state: 'in_sync',
            checks: { source: { state: 'there' }, destination: { state: 'there' }, evidence: { state: 'there' } },
          },
        ],
      });
      expect(await explainCode(stage, pushed)).toBe(0);
    },
  };
}

export const rows: Row[] = [
  {
    statement: 'a copy job that has ended sets no tag back, by its message or by a start that comes late',
    attack: plainImage,
    demand: async (stage, pushed) => {
      const id = `late-${pushed.root.digest.slice(7, 19)}`;
      await send(stage, copyJob(stage, pushed, id));
      const run = await done(stage, id);
      const copies = stage.source(copyOf(pushed));
      expect((await copies.resolve(TAG)).digest).toBe(pushed.root.digest);
      // Somebody puts the tag elsewhere.
      const newer = await pushImage(copies, { tag: TAG, contains: 'newer' });
      await send(stage, copyJob(stage, pushed, id));
      await startLate(stage, run.id);
      // Its message was before this one.
      const after = { ...copyJob(stage, pushed, `after-${id}`), destination: `${stage.up.source}/copies/after:${TAG}` };
      await send(stage, after);
      await done(stage, `after-${id}`);
      expect((await copies.resolve(TAG)).digest).toBe(newer.digest);
      expect(await done(stage, id)).toMatchObject({ id: run.id, finishedAt: run.finishedAt });
    },
    twin: plainImage,
    verifyTwin: async (stage, pushed) => {
      const copies = stage.source(copyOf(pushed));
      await pushImage(copies, { tag: TAG, contains: 'older' });
      const id = `twin-${pushed.root.digest.slice(7, 19)}`;
      await send(stage, copyJob(stage, pushed, id));
      await done(stage, id);
      expect((await copies.resolve(TAG)).digest).toBe(pushed.root.digest);
    },
  },
  hangs('source', ['source']),
  hangs('staging', ['destination', 'evidence']),
];
