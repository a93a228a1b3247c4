import { randomUUID } from 'node:crypto';
import { json, problem } from '../http/exchange.js';
import type { HostReply, HostRequest } from '../http/exchange.js';
import type { ClientLinks } from './client-links.js';
import { EventType } from './history.js';
import type { HistoryEvent } from './history.js';
import { isFinal } from './instances.js';
import type { Instance, InstanceFilter } from './instances.js';
import type { TurnBody } from './messages.js';
import type { Engine } from './turn.js';

/** The most bytes of an orchestration's input or an event's data over HTTP. */
const DURABLE_BODY_BYTES = 16 * 1024 * 1024;
/** The most characters of an instance id, as in the real engine. */
const INSTANCE_ID_CHARS = 100;
/** Instances per page of the status query. */
const STATUS_PAGE = 100;

const NO_INSTANCE = problem(404, 'No instance with that id was found.');
const GONE = problem(410, 'The instance has ended.');

function time(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

function parseJson(text: string): unknown {
  return JSON.parse(text);
}

function toStatus(instance: Instance, query: URLSearchParams, history?: unknown[]): Record<string, unknown> {
  return {
    name: instance.name,
    instanceId: instance.id,
    runtimeStatus: instance.status,
    input: query.get('showInput') === 'false' ? null : parseJson(instance.input),
    customStatus: parseJson(instance.customStatus),
    output: parseJson(instance.output),
    createdTime: time(instance.createdAt),
    lastUpdatedTime: time(instance.updatedAt),
    ...(history !== undefined && { historyEvents: history }),
  };
}

/** An event with the name of its type, as the real endpoint returns it. */
function named(event: HistoryEvent): unknown {
  const name = Object.entries(EventType).find(([, type]) => type === event.EventType)?.[0] ?? '';
  return { ...event, EventType: `${name.charAt(0).toUpperCase()}${name.slice(1)}` };
}

/** @returns undefined if a time is invalid */
function toFilter(query: URLSearchParams): InstanceFilter | undefined {
  const at = (name: string) => {
    const text = query.get(name);
    return text === null || text === '' ? undefined : Date.parse(text);
  };
  const [createdFrom, createdTo] = [at('createdTimeFrom'), at('createdTimeTo')];
  const statuses = query.get('runtimeStatus')?.split(',').filter(Boolean);
  if (Number.isNaN(createdFrom) || Number.isNaN(createdTo)) {
    return undefined;
  }
  return {
    ...(createdFrom !== undefined && { createdFrom }),
    ...(createdTo !== undefined && { createdTo }),
    ...(statuses !== undefined && { statuses }),
    idPrefix: query.get('instanceIdPrefix') ?? '',
  };
}

/** @returns JSON, `null` for an empty body; undefined if the body is not JSON */
async function readJson(request: HostRequest): Promise<string | undefined> {
  const text = (await request.body(DURABLE_BODY_BYTES)).toString('utf8');
  if (text.trim() === '') {
    return 'null';
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function isInstanceId(id: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  return id !== '' && id.length <= INSTANCE_ID_CHARS && !id.startsWith('@') && !/[/\\?#\u0000-\u001f\u007f]/.test(id);
}

/** The HTTP endpoints that the durable client calls, under `/runtime/webhooks/durabletask/` and `/durabletask/`. */
export class ClientApi {
  readonly #engine: Engine;
  readonly #links: ClientLinks;
  readonly #wake: () => void;

  constructor(engine: Engine, links: ClientLinks, wake: () => void) {
    this.#engine = engine;
    this.#links = links;
    this.#wake = wake;
  }

  /** @param path the rest after the prefix, without a leading slash */
  async handle(request: HostRequest, path: string): Promise<HostReply> {
    let parts: string[];
    try {
      parts = path.split('/').filter(Boolean).map(decodeURIComponent);
    } catch {
      return problem(400, 'the path is not encoded as a URL');
    }
    const [collection = '', id, operation, name] = parts;
    const route = `${request.method} ${collection.toLowerCase()} ${operation?.toLowerCase() ?? ''}`.trim();
    if (collection.toLowerCase() === 'entities') {
      return problem(501, 'LOCAL_HOST_UNSUPPORTED: the local host does not do entities');
    }
    if (route.startsWith('POST orchestrators')) {
      return await this.#start(request, id ?? '', operation);
    }
    if (id === undefined) {
      return route === 'GET instances'
        ? this.#list(request)
        : route === 'DELETE instances'
          ? this.#purgeAll(request.url.searchParams)
          : { status: 404 };
    }
    const reason = request.url.searchParams.get('reason') ?? '';
    switch (route) {
      case 'GET instances':
        return this.#status(request, id);
      case 'DELETE instances':
        return this.#purge([id]);
      case 'POST instances raiseevent': {
        const input = await readJson(request);
        return input === undefined || name === undefined
          ? problem(400, 'The data of an event must be JSON.')
          : this.#tell(id, { kind: 'event', name, input });
      }
      case 'POST instances terminate':
        return this.#tell(id, { kind: 'terminate', reason });
      case 'POST instances suspend':
        return this.#tell(id, { kind: 'suspend' });
      case 'POST instances resume':
        return this.#tell(id, { kind: 'resume' });
      case 'POST instances rewind':
      case 'POST instances restart':
        return problem(501, `LOCAL_HOST_UNSUPPORTED: the local host does not do ${operation}`);
      default:
        return { status: 404 };
    }
  }

  async #start(request: HostRequest, name: string, given: string | undefined): Promise<HostReply> {
    const id = given ?? randomUUID().replaceAll('-', '');
    const input = await readJson(request);
    if (this.#engine.find('orchestrationTrigger', name) === undefined) {
      return problem(400, `The function '${name}' doesn't exist, is disabled, or is not an orchestrator function.`);
    }
    if (!isInstanceId(id) || input === undefined) {
      return problem(400, input === undefined ? 'The input is not JSON.' : 'The instance id is not valid.');
    }
    const active = this.#engine.db.transaction(() => this.#engine.instances.start(id, name, input));
    if (active !== undefined) {
      return problem(409, `An Orchestration instance with the status ${active} already exists.`);
    }
    this.#wake();
    const links = this.#links.forInstance(id);
    return json(202, links, { location: links['statusQueryGetUri'] ?? '', 'retry-after': '10' });
  }

  #status(request: HostRequest, id: string): HostReply {
    const { instances } = this.#engine;
    const instance = instances.get(id);
    if (instance === undefined) {
      return NO_INSTANCE;
    }
    const query = request.url.searchParams;
    const history = query.get('showHistory') === 'true' ? instances.history(id).map(named) : undefined;
    const status = toStatus(instance, query, history);
    return isFinal(instance.status)
      ? json(200, status)
      : json(202, status, { location: this.#links.forInstance(id)['statusQueryGetUri'] ?? '', 'retry-after': '10' });
  }

  #list(request: HostRequest): HostReply {
    const query = request.url.searchParams;
    const filter = toFilter(query);
    const offset = Number(request.headers['x-ms-continuation-token'] ?? 0);
    const page = Math.min(Number(query.get('top') ?? STATUS_PAGE), STATUS_PAGE);
    if (filter === undefined || !Number.isInteger(offset) || offset < 0 || !Number.isInteger(page) || page < 1) {
      return problem(400, 'A time, the page or the continuation token is not valid.');
    }
    const found = this.#engine.instances.list(filter, page + 1, offset);
    const statuses = found.slice(0, page).map((instance) => toStatus(instance, query));
    return json(200, statuses, found.length > page ? { 'x-ms-continuation-token': String(offset + page) } : {});
  }

  #tell(id: string, body: TurnBody): HostReply {
    const reply = this.#engine.db.transaction(() => {
      const instance = this.#engine.instances.get(id);
      if (instance === undefined) {
        return NO_INSTANCE;
      }
      if (isFinal(instance.status)) {
        return GONE;
      }
      this.#engine.messages.send({ queue: 'instance', instance: id, execution: '', body });
      return { status: 202 };
    });
    this.#wake();
    return reply;
  }

  /** Purges only ended instances, as the real engine does since 3.9.1. */
  #purge(ids: string[]): HostReply {
    const instancesDeleted = this.#engine.db.transaction(() => {
      const ended = ids.filter((id) => {
        const instance = this.#engine.instances.get(id);
        return instance !== undefined && isFinal(instance.status);
      });
      for (const id of ended) {
        this.#engine.instances.remove(id);
      }
      return ended.length;
    });
    return instancesDeleted === 0 ? NO_INSTANCE : json(200, { instancesDeleted });
  }

  #purgeAll(query: URLSearchParams): HostReply {
    const filter = toFilter(query);
    return filter === undefined
      ? problem(400, 'A time is not valid.')
      : this.#purge(this.#engine.instances.list(filter, Number.MAX_SAFE_INTEGER).map(({ id }) => id));
  }
}
