import { randomUUID } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { isRecord } from '../../oci/index.js';

/** The holder of a lock, as its file has it. */
export interface LockHolder {
  pid: number;
  /** Start time of the process in kernel ticks; absent if unknown. Process ids repeat, ids with start times do not. */
  startedAt?: string;
  /** Machine and process id namespace: the process id has a meaning only there. */
  place: string;
  /** Differs each time that a lock is taken. */
  nonce: string;
}

/** `running`, `ended`, or `unknown` if this process cannot know. */
export type HolderState = 'running' | 'ended' | 'unknown';

interface ProcessFacts {
  startedAt: string;
  isZombie: boolean;
}

/** Undefined if there is no /proc, or no such process. */
async function readFacts(pid: number | 'self'): Promise<ProcessFacts | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything; the state is the first field after it, the start the twentieth.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { startedAt: fields[19] ?? '', isZombie: fields[0] === 'Z' };
  } catch {
    return undefined;
  }
}

async function readPlace(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return [hostname(), boot.trim(), namespace].join(' ');
}

let place: Promise<string> | undefined;
const placeOfOurs = (): Promise<string> => (place ??= readPlace());

/** This process, taking a lock now. */
export async function thisHolder(): Promise<LockHolder> {
  const facts = await readFacts('self');
  return {
    pid: process.pid,
    ...(facts && { startedAt: facts.startedAt }),
    place: await placeOfOurs(),
    nonce: randomUUID(),
  };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // The process exists, and belongs to another user.
    return isRecord(error) && error.code === 'EPERM';
  }
}

export async function stateOf(holder: LockHolder): Promise<HolderState> {
  if (holder.place !== (await placeOfOurs())) return 'unknown';
  if (!exists(holder.pid)) return 'ended';
  const facts = await readFacts(holder.pid);
  if (facts === undefined || holder.startedAt === undefined) return 'unknown';
  return facts.isZombie || facts.startedAt !== holder.startedAt ? 'ended' : 'running';
}

/** The content of a lock's file; undefined while it is incomplete. */
export function parseHolder(text: string): LockHolder | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(json)) return undefined;
  const { pid, startedAt, place, nonce } = json;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (typeof place !== 'string' || typeof nonce !== 'string') return undefined;
  return { pid, place, nonce, ...(typeof startedAt === 'string' && { startedAt }) };
}
