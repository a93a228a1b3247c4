import { cancelledResult } from '../runs/cancellation.js';
import { endRunRow } from '../runs/end-run.js';
import type { RunResult, RunRow, Versioned } from '../runs/rows.js';
import { STEP_LIMITS } from './limits.js';
import type { Ports } from './ports.js';

type TendPorts = Pick<Ports, 'store' | 'engine' | 'queues' | 'paused' | 'now'>;

const LOST: RunResult = {
  outcome: 'failed',
  code: 'RUN_LOST',
  reason: 'the run ended without a word: its instance is gone',
  remedy: 'Send the job again under another id.',
};

/** What was seen to. */
export interface TendedJobs {
  sentAgain: string[];
  lost: string[];
}

/**
 * Looks at the open runs, newest first, for jobs that are not getting on: one that was taken and never began is sent again after 15 minutes,
 * since its message may have been lost; one whose instance ended or vanished without a word has failed. May be done any number of
 * times, and by several at once.
 */
export async function tendJobs(ports: TendPorts): Promise<TendedJobs> {
  const tended: TendedJobs = { sentAgain: [], lost: [] };
  let from: string | undefined;
  for (let pages = 0; pages < STEP_LIMITS.tendedPages; pages += 1) {
    const page = await ports.store.listRuns({
      size: 100,
      filter: { state: 'open' },
      ...(from !== undefined && { from }),
    });
    for (const { id, kind, openedAt, sentAgainAt } of page.items) {
      if (kind !== 'job') continue;
      if (ports.now().getTime() - Date.parse(sentAgainAt ?? openedAt) < STEP_LIMITS.jobPendingMs) continue;
      await tend(ports, id, tended);
    }
    from = page.next;
    if (from === undefined) break;
  }
  return tended;
}

async function tend(ports: TendPorts, id: string, tended: TendedJobs): Promise<void> {
  // The instance first: one that ends in between has written its row by the time the row is read.
  const { state } = await ports.engine.state(id);
  const row = await ports.store.getRun(id);
  if (row === undefined || row.value.state === 'ended') return;
  if (state === 'ended' || (state === 'missing' && row.value.state === 'running')) {
    const { cancel } = row.value;
    await endRunRow(ports, id, cancel === undefined ? LOST : cancelledResult(cancel));
    tended.lost.push(id);
  } else if (state === 'missing' && (await sendAgain(ports, row))) tended.sentAgain.push(id);
}

/** @returns false where another did it first */
async function sendAgain(ports: TendPorts, { value, version }: Versioned<RunRow>): Promise<boolean> {
  if (value.input.kind !== 'job') return false;
  const marked = { ...value, sentAgainAt: ports.now().toISOString() };
  if (!(await ports.store.replaceRun(marked, version))) return false;
  await ports.queues.send('jobs', JSON.stringify(value.input.job));
  return true;
}
