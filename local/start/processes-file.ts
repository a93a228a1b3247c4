import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isRecord } from '../../src/oci/index.js';

const PROCESSES_FILE = 'processes.json';
/** Part of the command line of each child. */
const CHILD_SCRIPT = 'local/start/child';
const HOST = 'host';

export interface NamedProcess {
  name: string;
  pid: number;
}

/** The name of a Functions host. Several may use one store. */
export function hostName(index: number): string {
  return index === 0 ? HOST : `${HOST}-${index + 1}`;
}

/** True for Functions hosts. They use all the other processes, so they must end first. */
export function isHost({ name }: { name: string }): boolean {
  return name === HOST || name.startsWith(`${HOST}-`);
}

/** Writes the process ids, for those who want to kill a single one. The file is complete at any moment. */
export function noteProcesses(dataDir: string, processes: readonly { name: string; pid?: number | undefined }[]): void {
  const file = join(dataDir, PROCESSES_FILE);
  writeFileSync(`${file}.new`, JSON.stringify(Object.fromEntries(processes.map(({ name, pid }) => [name, pid]))));
  renameSync(`${file}.new`, file);
}

const processesSchema = z.record(z.string(), z.number().int().positive());

/** The recorded processes that are still alive. */
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

/**
 * True if the process is alive and runs `script`, because process ids are reused. Also true if the system does not say
 * what it runs.
 */
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

/**
 * The command line of a process; undefined if the system does not show it, empty if the process is gone or a zombie.
 */
function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // There is no /proc, or the process has just ended.
  }
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    return isRecord(error) && error.status === 1 ? '' : undefined;
  }
}
