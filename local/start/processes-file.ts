import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isRecord } from '../../src/oci/index.js';

const PROCESSES_FILE = 'processes.json';
/** In the command line of each. */
const CHILD_SCRIPT = 'local/start/child';
const HOST = 'host';

export interface NamedProcess {
  name: string;
  pid: number;
}

/** The name of a Functions host: several may work on one store. */
export function hostName(index: number): string {
  return index === 0 ? HOST : `${HOST}-${index + 1}`;
}

/** What works with all the others, and ends before them: what it was told is done must be kept. */
export function isHost({ name }: { name: string }): boolean {
  return name === HOST || name.startsWith(`${HOST}-`);
}

/** Notes which process is which, for who wants to kill one alone. The file is whole at any moment. */
export function noteProcesses(dataDir: string, processes: readonly { name: string; pid?: number | undefined }[]): void {
  const file = join(dataDir, PROCESSES_FILE);
  writeFileSync(`${file}.new`, JSON.stringify(Object.fromEntries(processes.map(({ name, pid }) => [name, pid]))));
  renameSync(`${file}.new`, file);
}

const processesSchema = z.record(z.string(), z.number().int().positive());

/** Of the processes that were noted, those that live. */
export function livingProcesses(dataDir: string): NamedProcess[] {
  let noted: Record<string, number>;
  try {
    noted = processesSchema.parse(JSON.parse(readFileSync(join(dataDir, PROCESSES_FILE), 'utf8')));
  } catch {
    return [];
  }
  return Object.entries(noted)
    .map(([name, pid]) => ({ name, pid }))
    .filter(({ pid }) => isLiving(pid, CHILD_SCRIPT));
}

/** Whether a process lives and runs what we think: ids come back. Where nobody can tell what it is, it counts as that. */
export function isLiving(pid: number, script: string): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isRecord(error) && error.code === 'EPERM';
  }
  const command = commandOf(pid);
  return command === undefined || (command !== '' && command.replaceAll('\\', '/').includes(script));
}

/** The command line of a process; undefined where this machine doesn't tell, empty where the process is gone or a zombie. */
function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // No /proc here, or the process has just gone.
  }
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    return isRecord(error) && error.status === 1 ? '' : undefined;
  }
}
