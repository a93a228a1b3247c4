// Attaches some of a storm's artifacts to one subject, all at once, through the tag schema and under a lease. Says `ready`,
// begins at a line on standard input, and can be told to stop for good at a point where it holds the lease (`holding`).
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import { once } from 'node:events';
import { createStorage } from '../../src/azure/storage.js';
import { createLockFileLease } from '../../src/cli/locks/lock-file-lease.js';
import {
  anonymousCredentials,
  createRegistries,
  packArtifact,
  pushPacked,
  REQUEST_CHANNEL,
  type Descriptor,
  type Lease,
  type RequestEvent,
} from '../../src/oci/index.js';

/** Where a process stops for good: with the lease just taken, with the index read, with it written and not read back. */
export type HoldAt = 'acquired' | 'read' | 'written';

export interface StormTask {
  registry: string;
  repository: string;
  subject: Descriptor;
  /** Which of the storm's artifacts. */
  numbers: number[];
  /** Clients among which they are shared out: writers that know nothing of each other. */
  clients: number;
  lease: { lockFolder: string } | { connectionString: string };
  holdAt?: HoldAt;
}

function stopForGood(): void {
  writeSync(1, 'holding\n');
  // Not even a timer runs any more, as in a process that was killed.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** Stops while the lease is held for the second time: something was written by then, and something was not. */
function stopAt(lease: Lease, holdAt: HoldAt): Lease {
  let times = 0;
  subscribe(REQUEST_CHANNEL, (message) => {
    const { method, url, phase } = message as RequestEvent;
    if (times < 2 || method !== 'PUT' || !/\/manifests\/sha256-[0-9a-f]{64}$/.test(url)) return;
    if (phase === (holdAt === 'read' ? 'start' : 'end')) stopForGood();
  });
  return {
    acquire: async (name, options) => {
      const held = await lease.acquire(name, options);
      if (held) times += 1;
      if (times === 2 && holdAt === 'acquired') stopForGood();
      return held;
    },
  };
}

async function attachAll(task: StormTask): Promise<void> {
  const shared =
    'lockFolder' in task.lease ? createLockFileLease(task.lease.lockFolder) : createStorage(task.lease).lease;
  const lease = task.holdAt === undefined ? shared : stopAt(shared, task.holdAt);
  const clients = Array.from({ length: task.clients }, () =>
    createRegistries({ credentials: anonymousCredentials, referrers: 'tag', lease }),
  );
  writeSync(1, 'ready\n');
  await once(process.stdin, 'data');
  await Promise.all(
    task.numbers.map((number) => {
      const client = clients[number % clients.length] ?? clients[0];
      const layer = { mediaType: 'text/plain', bytes: new TextEncoder().encode(`attached ${number}`) };
      const packed = packArtifact({ artifactType: 'text/storm', layers: [layer], subject: task.subject });
      return client && pushPacked(client.repository(task.registry, task.repository), packed);
    }),
  );
  await Promise.all(clients.map((client) => client.close()));
}

await attachAll(JSON.parse(process.argv[2] ?? '') as StormTask);
process.exit(0);
