import { openLayout, type BlobRepository, type RegistryClient } from '../oci/index.js';
import { connect, type ConnectionOptions } from './connection.js';
import type { Io } from './io.js';
import type { Target } from './target.js';

/** A target that has been opened. */
export interface OpenTarget {
  target: Target;
  repository: BlobRepository;
}

/** The repositories of one command; their connections are closed with it. */
export class Session {
  readonly #io: Io;
  readonly #clients = new Map<string, Promise<RegistryClient>>();

  constructor(io: Io) {
    this.#io = io;
  }

  /** @param options.create makes a layout that isn't there. */
  async open(target: Target, connection: ConnectionOptions, options: { create?: boolean } = {}): Promise<OpenTarget> {
    if (target.kind === 'oci-layout') {
      return { target, repository: await openLayout(target.path, options) };
    }
    const { registry, repository } = target.reference;
    // Both sides of a copy within one registry share connections and tokens, where they are reached in the same way.
    const key = JSON.stringify([registry, connection]);
    const client = this.#clients.get(key) ?? connect(registry, connection, this.#io);
    this.#clients.set(key, client);
    return { target, repository: (await client).repository(registry, repository) };
  }

  async close(): Promise<void> {
    const clients = await Promise.allSettled(this.#clients.values());
    await Promise.all(clients.map(async (client) => client.status === 'fulfilled' && client.value.close()));
  }
}
