import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { anonymousCredentials, createRegistries, packArtifact, pushPacked } from 'acr-promoter/oci';
import { createStorage } from '../../src/azure/storage.js';
import { startRegistry } from '../../local/registry/server.js';
import { startAzurite, type Azurite } from '../support/azurite.js';
import { findPeer } from '../support/peers.js';
import { startDockerRegistry, type RunningPeer } from '../support/registry-peers.js';
import type { HoldAt, StormTask } from './attach-storm.child.js';

const LOADER = new URL('../support/typescript-loader.mjs', import.meta.url).href;
const CHILD = join(import.meta.dirname, 'attach-storm.child.ts');
const REPOSITORY = 'samples/storm';
const ARTIFACTS = 64;
const PROCESSES = 4;
const CLIENTS = 2;

const children: ChildProcess[] = [];
let folder = '';
let azurite: Azurite;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'attach-storm-'));
  azurite = await startAzurite();
}, 60_000);
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await azurite.stop();
  await rm(folder, { recursive: true, force: true });
});

async function startLocalRegistry(): Promise<RunningPeer> {
  const registry = await startRegistry({
    dataDir: await mkdtemp(join(folder, 'registry-')),
    anonymous: true,
    quirks: { noReferrersApi: true },
  });
  return { host: `localhost:${registry.port}`, stop: () => registry.close() };
}

/** Registries that have no referrers API. */
function startRegistries(): Promise<RunningPeer[]> {
  const dockerRegistry = findPeer('docker-registry');
  if (dockerRegistry === undefined && process.env['CI'] !== undefined) throw new Error('needs docker-registry');
  return Promise.all([
    startLocalRegistry(),
    ...(dockerRegistry === undefined ? [] : [startDockerRegistry(dockerRegistry)]),
  ]);
}

class Attacher {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  #errors = '';

  constructor(task: StormTask) {
    const child = spawn(process.execPath, ['--no-warnings', '--import', LOADER, CHILD, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    children.push(child);
    child.stderr.on('data', (text: Buffer) => {
      this.#errors = (this.#errors + text.toString()).slice(-4000);
    });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.ended = once(child, 'close').then(([code, signal]: (number | string | null)[]) => ({
      code: typeof code === 'number' ? code : null,
      signal: typeof signal === 'string' ? signal : null,
    }));
  }

  async says(line: string): Promise<void> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error(`it ended before it was ${line}: ${this.#errors}`);
    expect(next.value).toBe(line);
  }

  begin(): void {
    this.#child.stdin?.write('begin\n');
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    expect(await this.ended).toEqual({ code: null, signal: 'SIGKILL' });
  }

  async succeeds(): Promise<void> {
    const { code } = await this.ended;
    if (code !== 0) throw new Error(`an attacher ended with ${code}: ${this.#errors}`);
  }
}

/** Sixty-four attaches at once, one of the four processes killed while it holds the lease, its attaches made again. */
async function storm(registry: string, lease: StormTask['lease'], holdAt: HoldAt): Promise<void> {
  const client = createRegistries({ credentials: anonymousCredentials, referrers: 'tag' });
  const repository = client.repository(registry, REPOSITORY);
  const image = packArtifact({ artifactType: 'application/vnd.example.image', layers: [] });
  const subject = await pushPacked(repository, image, { tag: 'v1' });
  const task: Omit<StormTask, 'numbers'> = { registry, repository: REPOSITORY, subject, clients: CLIENTS, lease };
  const share = (index: number): number[] =>
    Array.from({ length: ARTIFACTS / PROCESSES }, (_, place) => place * PROCESSES + index);
  const [victim, ...others] = Array.from(
    { length: PROCESSES },
    (_, index) => new Attacher({ ...task, numbers: share(index), ...(index === 0 && { holdAt }) }),
  );
  if (victim === undefined) throw new Error('no process');
  const all = [victim, ...others];
  await Promise.all(all.map((attacher) => attacher.says('ready')));
  for (const attacher of all) attacher.begin();

  await victim.says('holding');
  await victim.kill();
  const again = new Attacher({ ...task, numbers: share(0) });
  await again.says('ready');
  again.begin();
  await Promise.all([...others, again].map((attacher) => attacher.succeeds()));

  const referrers = await repository.listReferrers(subject.digest);
  expect(new Set(referrers.map(({ digest }) => digest)).size).toBe(ARTIFACTS);
  // The index itself holds each once, and each is there.
  const { bytes } = await repository.fetchManifest(subject.digest.replace(':', '-'));
  const { manifests } = JSON.parse(new TextDecoder().decode(bytes)) as { manifests: { artifactType: string }[] };
  expect(manifests.map(({ artifactType }) => artifactType)).toEqual(
    Array.from({ length: ARTIFACTS }, () => 'text/storm'),
  );
  const resolved = await Promise.all(referrers.map(({ digest }) => repository.resolve(digest)));
  expect(resolved).toHaveLength(ARTIFACTS);
  await client.close();
}

async function stormAll(newLease: (index: number) => Promise<StormTask['lease']>, points: HoldAt[]): Promise<void> {
  const registries = await startRegistries();
  try {
    await Promise.all(
      registries.map(async ({ host }, index) =>
        storm(host, await newLease(index), points[index % points.length] ?? 'read'),
      ),
    );
  } finally {
    await Promise.all(registries.map((registry) => registry.stop()));
  }
}

test('of sixty-four attaches from four processes with lock files none is lost, though one process is killed with the lock', async () => {
  const newLease = (index: number): Promise<StormTask['lease']> =>
    Promise.resolve({ lockFolder: join(folder, `locks-${index}`) });
  await stormAll(newLease, ['written', 'read']);
}, 240_000);

test('of sixty-four attaches with blob leases none is lost, though one process is killed with the lease', async () => {
  const newLease = async (): Promise<StormTask['lease']> => {
    const connectionString = azurite.newAccount();
    await createStorage({ connectionString }).ensureCreated();
    return { connectionString };
  };
  // A lease of the dead holder ends after half a minute: nobody can tell sooner.
  await stormAll(newLease, ['read', 'acquired']);
}, 300_000);
