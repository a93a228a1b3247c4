import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findPeer } from '../support/peers.js';
import { startDockerRegistry } from '../support/registry-peers.js';
import { acrPromoter, syft, trivy, type SbomTool } from './sbom-tools.js';

/** Images of images/build.sh. They take minutes to build and 3 GB, so they stay. */
export const IMAGES = resolve(process.env['REAL_IMAGES'] ?? '.peers/images');
export const OUT = join('out', 'bench');

/** Images in a registry on this machine, and the tools that make SBOMs of them. */
export interface Images {
  host: string;
  /** acr-promoter, and those of syft and trivy that are there. */
  tools: SbomTool[];
  /** A folder in memory, if there is one. */
  work: string;
  stop(): Promise<void>;
}

/** Pushes the images to a registry, after building those that are missing. */
export async function startImages(names: readonly string[]): Promise<Images> {
  const [dockerRegistry, crane] = ['docker-registry', 'crane'].map(findPeer);
  if (dockerRegistry === undefined || crane === undefined) throw new Error('docker-registry and crane are needed');
  const tools = [acrPromoter()];
  for (const [name, make] of [
    ['syft', syft],
    ['trivy', trivy],
  ] as const) {
    const program = findPeer(name);
    if (program !== undefined) tools.push(make(program));
  }
  const work = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sbom-bench-'));
  mkdirSync(OUT, { recursive: true });
  const peers = resolve(process.env['ACR_PROMOTER_PEERS'] ?? '.peers', 'bin');
  execFileSync('bash', ['test/bench/images/build.sh', IMAGES, ...names], {
    stdio: 'inherit',
    env: { ...process.env, PEERS: peers },
  });
  const registry = await startDockerRegistry(dockerRegistry);
  const { host } = registry;
  for (const name of names)
    execFileSync(crane, ['push', '--insecure', join(IMAGES, name), `${host}/${name}:v1`], { stdio: 'ignore' });
  return {
    host,
    tools,
    work,
    async stop() {
      await registry.stop();
      rmSync(work, { recursive: true, force: true });
    },
  };
}
