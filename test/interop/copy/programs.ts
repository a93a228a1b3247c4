import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { run } from '../../../src/cli/run.js';
import { createMemoryIo } from '../../support/memory-io.js';

const execute = promisify(execFile);

/** Runs a real program in a folder. Rejects where it fails. @returns its standard output */
export async function runPeer(program: string, argv: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await execute(program, [...argv], { cwd, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Runs our command line in this process. @throws with what it wrote to standard error */
export async function acrPromoter(...argv: string[]): Promise<string> {
  const { io, out, err } = createMemoryIo({ architecture: process.arch });
  const code = await run(argv, io);
  if (code !== 0) throw new Error(err());
  return out().toString();
}
