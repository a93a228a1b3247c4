import { join } from 'node:path';
import { loadApp } from './app.js';
import type { AppFunction } from './app.js';
import { createChaos } from './chaos.js';
import { ClientApi } from './durable/client-api.js';
import { createClientLinks } from './durable/client-links.js';
import { Database } from './durable/database.js';
import { BEAT_MS, newHostId } from './durable/hosts.js';
import { Instances } from './durable/instances.js';
import { Messages } from './durable/messages.js';
import type { LockMs } from './durable/messages.js';
import type { Engine } from './durable/turn.js';
import { startWorker } from './durable/worker.js';
import { json, problem } from './http/exchange.js';
import type { HostReply, HostRequest } from './http/exchange.js';
import { noKeys, readKeys } from './http/keys.js';
import { startServer } from './http/server.js';
import { createInvoker } from './invoke.js';
import { describe, log } from './log.js';
import { expand, readHostFile } from './options.js';
import type { HostFile, HostOptions } from './options.js';
import { createEventGridTrigger } from './triggers/event-grid.js';
import { createHttpTrigger } from './triggers/http.js';
import type { QueueTrigger, QueueTriggerOptions } from './triggers/queue.js';
import { createTimerTrigger } from './triggers/timer.js';

/** Interval of looks at the database when nothing else wakes the host, in milliseconds. */
const POLL_MS = 50;
/** The longest pause between looks at an empty queue, unless host.json's maxPollingInterval is shorter. Milliseconds. */
const QUEUE_POLL_MS = 500;
/** Turns handled in parallel. Each instance has one at a time. */
const TURNS_AT_ONCE = 10;
/** Timer functions run in parallel. */
const SCHEDULED_AT_ONCE = 5;

export interface Host {
  port: number;
  functions: string[];
  /** Like SIGTERM: takes nothing new and waits a little for running work. */
  stop(): Promise<void>;
}

/** Loading the SDK takes longer than the rest of the host, so load it only for apps with queues. */
async function listenToQueues(
  functions: AppFunction[],
  options: QueueTriggerOptions,
): Promise<QueueTrigger | undefined> {
  if (functions.every((fn) => fn.trigger.type !== 'queueTrigger')) {
    return undefined;
  }
  const { startQueueTrigger } = await import('./triggers/queue.js');
  return startQueueTrigger(functions, options);
}

/** A timer function has no message in a storage queue. In the real host its lease is taken over within 15 s. */
const TIMER_LOCK_MS = 15_000;

function locksOf(
  { visibilityMs }: HostOptions,
  file: HostFile['extensions']['durableTask']['storageProvider'],
): LockMs {
  return {
    instance: visibilityMs ?? file.controlQueueVisibilityTimeout,
    activity: visibilityMs ?? file.workItemQueueVisibilityTimeout,
    schedule: TIMER_LOCK_MS,
  };
}

/**
 * Loads the app and serves it. One host per process.
 * @param settings the app's settings, which are also this process's environment; WEBSITE_HOSTNAME is set in them
 * @throws ConfigurationError `PORT_IN_USE`, `BAD_SETTINGS`, `SETTING_MISSING`, `APP_NOT_FOUND`, `APP_EMPTY`,
 * `BAD_SCHEDULE`, `LOCAL_HOST_UNSUPPORTED`; whatever the app throws while it loads
 */
export async function startHost(options: HostOptions, settings: Record<string, string | undefined>): Promise<Host> {
  const { extensions, functionTimeout } = readHostFile(options.app);
  const { routePrefix } = extensions.http;
  const keys = options.keys ? readKeys(join(options.dataDir, 'keys.json')) : noKeys;
  const server = await startServer(options.port);
  const { port } = server;
  // If this is missing, durable-functions writes links with port 7071.
  settings['WEBSITE_HOSTNAME'] = `localhost:${port}`;
  const links = createClientLinks(port, expand(extensions.durableTask.hubName, settings), keys.query('durabletask'));

  // Paths in the app's settings are relative to the app, as in the real host.
  process.chdir(options.app);
  const app = await loadApp(options.app);
  const { functions } = app;
  const chaos = createChaos(options.chaos, options.lies);
  const invoker = createInvoker(app, () => links.binding, options.functionTimeoutMs ?? functionTimeout, chaos);
  const hostId = newHostId();
  const db = new Database(join(options.dataDir, 'host.sqlite'));
  const locks = locksOf(options, extensions.durableTask.storageProvider);
  const messages = new Messages(db, hostId, locks, chaos);
  const engine: Engine = {
    db,
    messages,
    instances: new Instances(db, messages),
    invoker,
    chaos,
    find: (kind, name) =>
      functions.find((fn) => fn.trigger.type === kind && fn.name.toLowerCase() === name.toLowerCase()),
  };
  const has = (kind: string): boolean => functions.some((fn) => fn.trigger.type === kind);
  const timers = createTimerTrigger(functions, db, messages, invoker, settings);
  await app.runHooks('appStart');

  const worker = startWorker(engine, {
    hostId,
    beatMs: Math.min(BEAT_MS, ...Object.values(locks).map((ms) => ms / 4)),
    pollMs: POLL_MS,
    // Messages without a function wait in the database. The real host then starts no worker for the task hub either.
    atOnce: {
      instance: has('orchestrationTrigger') ? TURNS_AT_ONCE : 0,
      activity: has('activityTrigger') ? extensions.durableTask.maxConcurrentActivityFunctions : 0,
      schedule: has('timerTrigger') ? SCHEDULED_AT_ONCE : 0,
    },
    tick: () => timers.tick(),
    runScheduled: async (message) => await timers.run(message),
  });
  const clientApi = new ClientApi(engine, links, worker.wake);
  const onHttp = createHttpTrigger(functions, routePrefix, invoker, keys);
  const onEventGrid = createEventGridTrigger(functions, invoker, keys);
  const queues = await listenToQueues(functions, {
    invoker,
    chaos,
    queues: extensions.queues,
    lockMs: options.queueLockMs,
    pollMs: Math.min(QUEUE_POLL_MS, extensions.queues.maxPollingInterval),
    settings,
  });

  /** `POST /admin/functions/NAME` runs a timer function at once, as in the real host. */
  const onAdmin = async (request: HostRequest): Promise<HostReply> => {
    if (!keys.allows(request, 'master')) {
      return { status: 401 };
    }
    if (request.path === '/admin/host/status') {
      return json(200, { state: 'Running', functions: functions.map((fn) => fn.name) });
    }
    const name = /^\/admin\/functions\/([^/]+)$/.exec(request.path)?.[1];
    return request.method === 'POST' && name !== undefined && timers.runNow(name) ? { status: 202 } : { status: 404 };
  };

  let isStopping = false;
  server.setHandler(async (request) => {
    const path = request.path.toLowerCase();
    // Running functions can use this endpoint until the end.
    if (isStopping && !path.startsWith('/durabletask/')) {
      return problem(503, 'the host is stopping');
    }
    const webhooks = '/runtime/webhooks/';
    if (path === `${webhooks}eventgrid`) {
      return await onEventGrid(request);
    }
    if (path.startsWith(`${webhooks}durabletask/`)) {
      return keys.allows(request, 'durabletask')
        ? await clientApi.handle(request, request.path.slice(`${webhooks}durabletask/`.length))
        : { status: 401 };
    }
    if (path.startsWith('/durabletask/')) {
      return await clientApi.handle(request, request.path.slice('/durabletask/'.length));
    }
    return path.startsWith('/admin/') ? await onAdmin(request) : await onHttp(request);
  });

  return {
    port,
    functions: functions.map((fn) => fn.name),
    async stop() {
      const { graceMs } = options;
      isStopping = true;
      await Promise.all([queues?.stop(graceMs), worker.stop(graceMs)]);
      await server.close(Math.min(graceMs, 1000));
      await app.runHooks('appTerminate').catch((error: unknown) => log('error', 'appTerminate', describe(error)));
      db.close();
    },
  };
}
