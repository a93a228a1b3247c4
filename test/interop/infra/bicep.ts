import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { findPeer } from '../../support/peers.js';

const SUBSCRIPTION = '00000000-0000-0000-0000-000000000001';
const TENANT = '00000000-0000-0000-0000-00000000000f';

/** A resource as `bicep snapshot` predicts it; what only Azure knows is left as an expression in brackets. */
export interface PredictedResource {
  id: string;
  type: string;
  apiVersion: string;
  name: string;
  properties?: Record<string, unknown>;
  [key: string]: unknown;
}

export interface Snapshot {
  predictedResources: PredictedResource[];
  diagnostics: unknown[];
  outputs: Record<string, unknown>;
}

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Path of the compiler: as any peer, or unpacked by the script that lies beside the checkout where there is one. */
function findBicep(): string | undefined {
  const found = findPeer('bicep');
  if (found !== undefined) return found;
  const unpacked = resolve('.peers', 'bicep', 'bicep');
  const script = resolve('..', 'shared', 'tools', 'get-bicep.sh');
  if (!existsSync(unpacked) && existsSync(script)) spawnSync('sh', [script, resolve('.peers', 'bicep')]);
  return existsSync(unpacked) ? unpacked : undefined;
}

export const bicep = findBicep();

/** A copy of the template and of the tests' parameters: the compiler writes beside what it reads. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), 'acr-promoter-infra-'));
  readonly #bicep: string;

  /** @param program path of the compiler; absent in CI, that is a failure. */
  constructor(program: string | undefined) {
    if (program === undefined) throw new Error('there is no bicep: set BICEP to its path');
    this.#bicep = program;
    cpSync('infra', join(this.folder, 'infra'), { recursive: true });
    mkdirSync(join(this.folder, 'test', 'interop'), { recursive: true });
    cpSync(join('test', 'interop', 'infra'), join(this.folder, 'test', 'interop', 'infra'), { recursive: true });
  }

  run(args: string[], env: Record<string, string> = {}): Ran {
    const { status, stdout, stderr, error } = spawnSync(this.#bicep, args, {
      cwd: this.folder,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
      maxBuffer: 64 * 1024 * 1024,
    });
    if (error !== undefined) throw error;
    return { status, stdout, stderr };
  }

  snapshot(parameters: string): Snapshot {
    const path = join('test', 'interop', 'infra', `${parameters}.bicepparam`);
    const ran = this.run([
      'snapshot',
      path,
      '--subscription-id',
      SUBSCRIPTION,
      '--tenant-id',
      TENANT,
      '--location',
      'westeurope',
      '--deployment-name',
      basename(parameters),
    ]);
    if (ran.status !== 0 || ran.stderr !== '') throw new Error(`bicep snapshot ${parameters}: ${ran.stderr}`);
    const json = readFileSync(join(this.folder, path.replace(/\.bicepparam$/, '.snapshot.json')), 'utf8');
    return JSON.parse(json) as Snapshot;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
