import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigurationError, isRecord, makeFolder } from '../../src/oci/index.js';
import { isLiving, livingProcesses } from './processes-file.js';

/** The file with the process id that uses the folder. */
const OWNER_FILE = 'start.json';
/** Children of a killed parent take at most fifteen seconds to end (child.ts). */
const ORPHANS_MS = 20_000;
const LOOK_MS = 200;
const CLAIM_TRIES = 3;

export interface DataFolder {
  release(): Promise<void>;
}

/**
 * Reserves the data folder for this process. Waits for processes of a killed start, which end by themselves.
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
      remedy: 'Choose a writable folder with --data-dir.',
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
    if (owner !== undefined && isLiving(owner, 'local/start/main')) throw inUse(dataDir, [owner]);
    // The file may have been created a moment ago and not be written yet.
    if (owner === undefined && tries < CLAIM_TRIES) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    else await rm(file, { force: true });
    if (tries > 2 * CLAIM_TRIES) throw inUse(dataDir, []);
  }
}

function isExisting(error: unknown): boolean {
  return isRecord(error) && error.code === 'EEXIST';
}

async function waitForOrphans(dataDir: string, say: (text: string) => void): Promise<void> {
  const living = (): number[] => livingProcesses(dataDir).map(({ pid }) => pid);
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
    remedy: 'Stop it (Ctrl-C, or kill with its process id), or choose another folder with --data-dir.',
  });
}

function parsed<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
