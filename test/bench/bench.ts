import { statfsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { anonymousCredentials, createRegistries, type RegistryClient } from 'acr-promoter/oci';
import { findPeer } from '../support/peers.js';
import { measure, type Command } from './measure.js';
import type { Run } from './results.js';
import { createCertificate, startTlsRegistry, type Certificate, type TlsRegistry } from './servers.js';

/** Whole sizes with FULL (`npm run test:full`); by hand, small ones that show that everything works. */
export const IS_FULL = process.env['FULL'] !== undefined;
export const REPETITIONS = Number(process.env['BENCH_REPETITIONS'] ?? 3);

/** What the largest case takes on both sides, and as much again. */
const CONTENT_BYTES = 8 * 1024 ** 3;

/** Two registries over TLS, and a client in this process that fills them and looks at what has arrived. */
export interface Bench {
  folder: string;
  certificate: Certificate;
  source: TlsRegistry;
  destination: TlsRegistry;
  client: RegistryClient;
  stop(): Promise<void>;
}

/** Memory where there is some of it as a folder: a registry writes every file through to the disk, which then is what is measured. */
function contentFolder(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > CONTENT_BYTES) return '/dev/shm';
  } catch {
    // Not there.
  }
  return tmpdir();
}

/** undefined where Debian's docker-registry or openssl isn't there. */
export async function startBench(): Promise<Bench | undefined> {
  const program = findPeer('docker-registry');
  if (program === undefined || findPeer('openssl') === undefined) return undefined;
  const folder = await mkdtemp(join(contentFolder(), 'bench-'));
  const certificate = await createCertificate(folder);
  const [source, destination] = await Promise.all(
    ['source', 'destination'].map((name) => startTlsRegistry(program, join(folder, name), certificate)),
  );
  if (source === undefined || destination === undefined) return undefined;
  const client = createRegistries({
    credentials: anonymousCredentials,
    ca: certificate.pem,
    plainHttp: () => false,
    referrers: 'tag',
  });
  return {
    folder,
    certificate,
    source,
    destination,
    client,
    stop: async () => {
      await client.close();
      await Promise.all([source.stop(), destination.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Measures commands, with the requests that they made. */
export async function measureRun(
  registries: readonly TlsRegistry[],
  command: Command,
  run: (command: Command) => Promise<Omit<Run, 'requests'>> = measure,
): Promise<Run> {
  for (const registry of registries) registry.takeRequests();
  const measured = await run(command);
  return { ...measured, requests: registries.map((registry) => registry.takeRequests()) };
}
