import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What one run of a whole process took. */
export interface Measure {
  wallMs: number;
  /** User and system, of the process and all that it started. */
  cpuMs: number;
  /** The most resident memory that the processes had, in MB (10^6). */
  peakMb: number;
}

/** The kernel's unit of CPU time in /proc, everywhere Linux runs. */
const TICK_MS = 10;
const POLL_MS = 10;

/** CPU time of the children of this process that have ended, theirs included. */
function endedChildrenMs(): number {
  const text = readFileSync('/proc/self/stat', 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

/** The high-water mark of a process and of those that it started; 0 for what has ended. */
function peakKb(pid: number): number {
  try {
    const own = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    const started = children === '' ? [] : children.split(' ');
    return Number(own) + started.reduce((sum, child) => sum + peakKb(Number(child)), 0);
  } catch {
    return 0;
  }
}

export interface Command {
  program: string;
  args: string[];
  env?: Record<string, string>;
}

/** Runs a command to its end and says what it took. Linux only; nothing else that this process started may end meanwhile. */
export async function measure({ program, args, env }: Command): Promise<Measure> {
  const before = endedChildrenMs();
  const from = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      output = (output + text.toString()).slice(-4000);
    });
  }
  let peak = 0;
  const ended = new Promise<{ code: number | null; wallMs: number }>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      resolve({ code, wallMs: performance.now() - from });
    });
  });
  const poll = async (): Promise<void> => {
    while (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      peak = Math.max(peak, peakKb(child.pid));
      await sleep(POLL_MS);
    }
  };
  const [{ code, wallMs }] = await Promise.all([ended, poll()]);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${output}`);
  return { wallMs, cpuMs: endedChildrenMs() - before, peakMb: (peak * 1024) / 1e6 };
}

/** Runs commands one after the other, as a loop of a shell would. */
export async function measureEach(commands: readonly Command[]): Promise<Measure> {
  const total: Measure = { wallMs: 0, cpuMs: 0, peakMb: 0 };
  for (const command of commands) {
    const { wallMs, cpuMs, peakMb } = await measure(command);
    total.wallMs += wallMs;
    total.cpuMs += cpuMs;
    total.peakMb = Math.max(total.peakMb, peakMb);
  }
  return total;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}
