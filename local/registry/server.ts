import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { Guard } from './access/guard.js';
import { Principals } from './access/principals.js';
import { keptSecret, Tokens } from './access/tokens.js';
import { BlobHost } from './blob-host.js';
import type { RequestLogEntry } from './call.js';
import type { Context } from './context.js';
import { EventJournal } from './events/journal.js';
import { closeServer, listen } from './http.js';
import { JsonLinesFile, LOG_BYTES } from './json-lines.js';
import { createListener } from './listener.js';
import type { RegistryOptions } from './options.js';
import { BlobStore } from './storage/blobs.js';
import { openDatabase } from './storage/database.js';
import { LateReads } from './storage/late-reads.js';
import { LockStore } from './storage/locks.js';
import { ManifestStore } from './storage/manifests.js';
import { UploadStore } from './storage/uploads.js';

/** The most request log entries in memory; the file has all of them. */
const MOST_LOGGED_REQUESTS = 20_000;

export type { RegistryOptions } from './options.js';

export interface RunningRegistry {
  /** `http://127.0.0.1:5100` */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The login server's name, with which references start. */
  readonly name: string;
  /** The newest requests; the file has all of them. */
  readonly log: readonly RequestLogEntry[];
  readonly logFile: string;
  /** The number of undelivered events. */
  readonly waitingEvents: number;
  /** The number of requests to the blob host with `Authorization`; undefined without `redirectBlobs`. */
  readonly blobHostAuthorized: number | undefined;
  /** Stops cleanly: running requests may finish for two seconds. */
  close(): Promise<void>;
}

/**
 * Starts an OCI 1.1 registry with ACR's sign-in and push events. Everything it has acknowledged is on disk.
 * @throws Refusal `PORT_IN_USE`, `DATA_FOLDER_IN_USE`
 */
export async function startRegistry(options: RegistryOptions): Promise<RunningRegistry> {
  const database = openDatabase(options.dataDir);
  const log = new JsonLinesFile(join(options.dataDir, 'requests.jsonl'), LOG_BYTES);
  const recent: RequestLogEntry[] = [];
  const record = (entry: RequestLogEntry): void => {
    log.append(entry);
    if (recent.push(entry) > MOST_LOGGED_REQUESTS) recent.shift();
  };
  const server = options.tls === undefined ? createServer() : createSecureServer(options.tls);
  // Large layers over slow connections take longer than Node's five minutes per request.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  const blobs = new BlobStore(database, options.dataDir, options.quirks?.blobBytesPerSecond);
  const blobHost = options.quirks?.redirectBlobs === true ? new BlobHost(blobs, options, record) : undefined;
  const release = (): void => {
    database.close();
    log.close();
  };
  let host: string;
  let port: number;
  try {
    await blobHost?.start(options.host ?? '127.0.0.1');
    ({ host, port } = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1'));
  } catch (error) {
    await blobHost?.close();
    release();
    throw error;
  }
  const url = `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
  const name = options.name ?? `${host}:${port}`;
  const context = createContext(options, database, blobs, name);
  if (blobHost !== undefined) context.blobHost = blobHost;
  const listener = createListener(context, url, record);
  const underWay = new Set<Promise<void>>();
  server.on('request', (request, response) => {
    const answer = listener(request, response).finally(() => underWay.delete(answer));
    underWay.add(answer);
  });
  return {
    url,
    host,
    port,
    name,
    log: recent,
    logFile: log.path,
    get waitingEvents() {
      return context.events.waiting;
    },
    get blobHostAuthorized() {
      return blobHost?.authorized;
    },
    close: async () => {
      await Promise.all([closeServer(server), blobHost?.close(), context.events.close()]);
      await Promise.all(underWay);
      context.reads.close();
      release();
    },
  };
}

function createContext(options: RegistryOptions, database: DatabaseSync, blobs: BlobStore, name: string): Context {
  const tokens = new Tokens(keptSecret(options.dataDir), name, {
    access: options.accessTokenSeconds ?? 75 * 60,
    refresh: options.refreshTokenSeconds ?? 3 * 3600,
  });
  const quirks = options.quirks ?? {};
  const manifests = new ManifestStore(database);
  return {
    options,
    quirks,
    name,
    database,
    blobs,
    uploads: new UploadStore(options.dataDir, blobs),
    manifests,
    reads: new LateReads(database, manifests, quirks.lateReadsMs),
    locks: new LockStore(database),
    tokens,
    principals: new Principals(options, tokens),
    guard: new Guard(tokens, name, options.anonymous === true),
    events: new EventJournal({
      database,
      ...(options.eventsUrl !== undefined && quirks.loseEvents !== true && { url: options.eventsUrl }),
      schema: options.eventSchema ?? 'eventgrid',
      ...(options.eventPausesMs !== undefined && { pausesMs: options.eventPausesMs }),
      deadLetters: join(options.dataDir, 'dead-letters.jsonl'),
    }),
    patches: 0,
  };
}
