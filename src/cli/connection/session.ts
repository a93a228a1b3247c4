import { openLayout, type BlobRepository, type HeldLease, type RegistryClient } from '../../oci/index.js';
import { connect, type ConnectionOptions } from './connection.js';
import type { Io } from '../io.js';
import { lockLayout } from '../locks/layout-lock.js';
import { SignIns } from './sign-ins.js';
import type { Target } from './target.js';

/** A target that has been opened. */
export interface OpenTarget {
  target: Target;
  repository: BlobRepository;
}

/** The repositories of one command. `close` closes their connections and releases the layouts that it writes to. */
export class Session {
  readonly #io: Io;
  readonly #signIns: SignIns;
  readonly #clients = new Map<string, Promise<RegistryClient>>();
  readonly #locks: HeldLease[] = [];

  constructor(io: Io) {
    this.#io = io;
    this.#signIns = new SignIns(io);
  }

  /** @param options.create makes a missing layout; `write` refuses a layout that is read-only. Default of `write`: `create`. */
  async open(
    target: Target,
    connection: ConnectionOptions,
    options: { create?: boolean; write?: boolean } = {},
  ): Promise<OpenTarget> {
    if (target.kind === 'oci-layout') {
      if (options.create !== true && options.write !== true) {
        return { target, repository: await openLayout(target.path) };
      }
      const lock = await lockLayout(target.path, this.#io);
      this.#locks.push(lock);
      return { target, repository: await openLayout(target.path, { ...options, signal: lock.signal }) };
    }
    const { registry, repository } = target.reference;
    this.#signIns.note(registry, target.text);
    return { target, repository: (await this.client(registry, connection)).repository(registry, repository) };
  }

  /** The client of a registry. The two sides of a copy share it if their options are the same. */
  client(registry: string, connection: ConnectionOptions): Promise<RegistryClient> {
    const key = JSON.stringify([registry, connection]);
    const client = this.#clients.get(key) ?? connect(registry, connection, this.#io, this.#signIns);
    this.#clients.set(key, client);
    return client;
  }

  /** Adds the reason to an error about signing in. */
  explain(error: unknown): unknown {
    return this.#signIns.explain(error);
  }

  async close(): Promise<void> {
    const clients = await Promise.allSettled(this.#clients.values());
    await Promise.all(clients.map(async (client) => client.status === 'fulfilled' && client.value.close()));
    await Promise.all(this.#locks.map((lock) => lock.release()));
  }
}
