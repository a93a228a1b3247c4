import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Guard } from './access/guard.js';
import { Principals } from './access/principals.js';
import { keptSecret, Tokens } from './access/tokens.js';
import { BlobHost } from './blob-host.js';
import { Call, type RequestLogEntry } from './call.js';
import type { Context } from './context.js';
import { EventJournal } from './events/journal.js';
import { closeServer, listen } from './http.js';
import { JsonLinesFile } from './json-lines.js';
import { LIMITS } from './limits.js';
import type { RegistryOptions } from './options.js';
import { Refusal } from './refusal.js';
import { route } from './router.js';
import { BlobStore } from './storage/blobs.js';
import { openDatabase } from './storage/database.js';
import { ManifestStore } from './storage/manifests.js';
import { UploadStore } from './storage/uploads.js';
import { createThrottle } from './throttle.js';

export type { RequestLogEntry } from './call.js';
export type { Grant, RegistryOptions, User } from './options.js';
export type { Quirks } from './quirks.js';

export interface RunningRegistry {
  /** `http://127.0.0.1:5100` */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** The login server's name: what references begin with. */
  readonly name: string;
  /** The newest requests; the file has them all. */
  readonly log: readonly RequestLogEntry[];
  readonly logFile: string;
  /** Events that have not been delivered yet. */
  readonly waitingEvents: number;
  /** How many requests came to the blobs' host with `Authorization`; undefined without `redirectBlobs`. */
  readonly blobHostAuthorized: number | undefined;
  /** Ends cleanly: what is under way may finish for two seconds. */
  close(): Promise<void>;
}

/**
 * Starts an OCI 1.1 registry with ACR's ways of signing in and telling of pushes. What it has acknowledged is on the disk.
 * @throws Refusal `PORT_IN_USE`, `DATA_FOLDER_IN_USE`
 */
export async function startRegistry(options: RegistryOptions): Promise<RunningRegistry> {
  const database = openDatabase(options.dataDir);
  const log = new JsonLinesFile(join(options.dataDir, 'requests.jsonl'), LIMITS.logBytes);
  const recent: RequestLogEntry[] = [];
  const record = (entry: RequestLogEntry): void => {
    log.append(entry);
    if (recent.push(entry) > LIMITS.loggedRequests) recent.shift();
  };
  let listener: RequestListener = (_request, response) => void response.writeHead(503).end();
  const entry: RequestListener = (request, response) => listener(request, response);
  const server = options.tls === undefined ? createServer(entry) : createSecureServer(options.tls, entry);
  // Large layers over slow lines take longer than Node's five minutes a request.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  const { host, port } = await listen(server, options.port ?? 0, options.host ?? '127.0.0.1').catch(
    (error: unknown) => {
      log.close();
      database.close();
      throw error;
    },
  );
  const url = `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
  const name = options.name ?? `${host}:${port}`;
  const context = createContext(options, database, name);
  if (options.quirks?.redirectBlobs === true) {
    context.blobHost = new BlobHost(context.blobs);
    await context.blobHost.start(host);
  }
  listener = createListener(context, url, record);
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
      return context.blobHost?.authorized;
    },
    close: async () => {
      await Promise.all([closeServer(server), context.blobHost?.close(), context.events.close()]);
      database.close();
      log.close();
    },
  };
}

function createContext(options: RegistryOptions, database: ReturnType<typeof openDatabase>, name: string): Context {
  const blobs = new BlobStore(database, options.dataDir);
  const tokens = new Tokens(options.tokenSecret ?? keptSecret(options.dataDir), name, {
    access: options.accessTokenSeconds ?? 75 * 60,
    refresh: options.refreshTokenSeconds ?? 3 * 3600,
  });
  return {
    options,
    quirks: options.quirks ?? {},
    name,
    database,
    blobs,
    uploads: new UploadStore(options.dataDir, blobs),
    manifests: new ManifestStore(database),
    tokens,
    principals: new Principals(options.users ?? [], tokens, options.entraKeysFile, options.identityGrants),
    guard: new Guard(tokens, name, options.anonymous === true),
    events: new EventJournal({
      database,
      ...(options.eventsUrl !== undefined && { url: options.eventsUrl }),
      schema: options.eventSchema ?? 'eventgrid',
      ...(options.eventPausesMs !== undefined && { pausesMs: options.eventPausesMs }),
      deadLetters: join(options.dataDir, 'dead-letters.jsonl'),
    }),
    patches: 0,
  };
}

function createListener(context: Context, origin: string, log: (entry: RequestLogEntry) => void): RequestListener {
  const throttle = createThrottle(context.quirks);
  const { latencyMs = 0, absoluteLocations = false } = context.quirks;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const call = new Call(request, response, { origin, absoluteLocations, log });
    try {
      if (latencyMs > 0) await sleep(latencyMs);
      throttle();
      const { endpoint, target } = route(call);
      if (endpoint.needs !== undefined) await context.guard.admit(call, endpoint.needs(target, call));
      await endpoint.handle(context, call, target);
    } catch (error) {
      answerError(call, error);
    }
  };
  return (request, response) => void handle(request, response);
}

function answerError(call: Call, error: unknown): void {
  if (call.answered) {
    call.abort();
    return;
  }
  if (error instanceof Refusal) {
    call.json(error.status, error.body(), { 'docker-distribution-api-version': 'registry/2.0', ...error.headers });
    return;
  }
  // The client has gone in the middle of its request: there is nobody to answer, but the log shall have it.
  if (!call.request.readableAborted)
    process.stderr.write(`local/registry: ${String((error as Error).stack ?? error)}\n`);
  call.json(500, new Refusal(500, 'UNKNOWN', 'unknown error').body());
}
