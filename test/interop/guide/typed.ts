import { execFileSync } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../src/cli/run.js';
import { createMemoryIo } from '../../support/memory-io.js';
import type { GuideCommand } from '../guide.js';

/** What the guide's variables hold. */
export interface Variables {
  registry: string;
  sbomDigest?: string;
  docDigest?: string;
}

/** Types a command of the guide in a folder; @returns the arguments of its last `oras`, which is noted and not run. */
export async function typeInto(
  folder: string,
  { line, instead, before = ':' }: GuideCommand,
  { registry, sbomDigest, docDigest }: Variables,
): Promise<string[]> {
  const noted = join(folder, '.arguments');
  const shell = `oras() { printf '%s\\0' "$@" >"$NOTED"; echo '{"manifests":[]}'; }; { ${before} ; }; { ${instead ?? line} ; }`;
  const env = {
    PATH: process.env['PATH'],
    NOTED: noted,
    REGISTRY: registry,
    REPO: 'net-monitor',
    TAG: 'v1',
    IMAGE: `${registry}/net-monitor:v1`,
    TARGET_REPO: `${registry}/sample-staging/net-monitor`,
    SBOM_DIGEST: sbomDigest,
    DOC_DIGEST: docDigest,
  };
  execFileSync('bash', ['--norc', '-c', shell], { cwd: folder, env, stdio: 'ignore' });
  const list = await readFile(noted, 'utf8').catch(() => '');
  await rm(noted, { force: true });
  return list.split('\0').slice(0, -1);
}

/** Hands a typed line to the app, `--submit --wait`, from the working folder. @returns its exit code, and what it says of the run */
export async function submitTyped(
  argv: readonly string[],
  { input = '' }: GuideCommand,
  app: string,
): Promise<{ code: number; err: string }> {
  const { io, err } = createMemoryIo({ env: { ACR_PROMOTER_APP: app }, input });
  const code = await run([...argv, '--submit', '--wait'], io);
  return { code, err: err() };
}
