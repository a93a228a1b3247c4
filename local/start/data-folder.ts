import { readFileSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigurationError, isRecord, makeFolder } from '../../src/oci/index.js';

/** Which process has the folder, while it has it. */
const OWNER_FILE = 'start.json';
/** Which process is which, for who wants to kill one alone. */
export const PROCESSES_FILE = 'processes.json';
/** Children whose parent was killed take ten seconds at most to end. */
const ORPHANS_MS = 15_000;
const LOOK_MS = 200;
const CLAIM_TRIES = 3;

export interface DataFolder {
  release(): Promise<void>;
}

/**
 * Takes the data folder for this process. What a start that was killed has left running is waited for: it ends by itself.
 * @throws ConfigurationError `DATA_DIR_IN_USE`, `DATA_DIR_UNUSABLE`
 */
export async function takeDataFolder(dataDir: string, say: (text: string) => void): Promise<DataFolder> {
  const file = join(dataDir, OWNER_FILE);
  try {
    await makeFolder(dataDir, 0o700);
    await claim(file, dataDir);
  } catch (cause) {
    if (cause instanceof ConfigurationError) throw cause;
    throw new ConfigurationError('DATA_DIR_UNUSABLE', `the data folder ${dataDir} cannot be written to`, {
      cause,
      remedy: 'Choose a folder that you may write to with --data-dir.',
    });
  }
  const release = (): Promise<void> => rm(file, { force: true });
  try {
    await waitForOrphans(dataDir, say);
  } catch (error) {
    await release();
    throw error;
  }
  return { release };
}

const ownerSchema = z.object({ pid: z.number().int().positive() });

async function claim(file: string, dataDir: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      const handle = await open(file, 'wx', 0o600);
      await handle.writeFile(JSON.stringify({ pid: process.pid, startedAt: new Date().toISOString() }));
      await handle.close();
      return;
    } catch (error) {
      if (!isExisting(error)) throw error;
    }
    const owner = parsed(ownerSchema, await readFile(file, 'utf8').catch(() => ''))?.pid;
    if (owner !== undefined && isOurs(owner, 'local/start/main')) throw inUse(dataDir, [owner]);
    // Made a moment ago, perhaps, and not written yet.
    if (owner === undefined && tries < CLAIM_TRIES) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    else await rm(file, { force: true });
    if (tries > 2 * CLAIM_TRIES) throw inUse(dataDir, []);
  }
}

function isExisting(error: unknown): boolean {
  return isRecord(error) && error.code === 'EEXIST';
}

async function waitForOrphans(dataDir: string, say: (text: string) => void): Promise<void> {
  const noted = await readFile(join(dataDir, PROCESSES_FILE), 'utf8').catch(() => '');
  const pids = Object.values(parsed(z.record(z.string(), z.number().int().positive()), noted) ?? {});
  const living = (): number[] => pids.filter((pid) => isOurs(pid, 'local/start/child'));
  let left = living();
  if (left.length > 0) say(`waiting for processes of an earlier start to end: ${left.join(', ')} …`);
  for (const until = Date.now() + ORPHANS_MS; left.length > 0; left = living()) {
    if (Date.now() > until) throw inUse(dataDir, left);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function inUse(dataDir: string, pids: readonly number[]): ConfigurationError {
  const by = pids.length === 0 ? 'another npm start' : `another npm start, process id ${pids.join(', ')}`;
  return new ConfigurationError('DATA_DIR_IN_USE', `the data folder ${dataDir} is used by ${by}`, {
    details: { pids },
    remedy: 'Stop that one first (Ctrl-C, or kill with its process id), or choose another folder with --data-dir.',
  });
}

function parsed<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Whether a process lives and is what we think: ids come back. Where nobody can tell what it is, it counts as ours. */
function isOurs(pid: number, script: string): boolean {
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
