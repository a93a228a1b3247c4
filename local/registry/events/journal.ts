import type { DatabaseSync } from 'node:sqlite';
import { JsonLinesFile, LOG_BYTES } from '../json-lines.js';
import { envelope, type RegistryEvent } from './event.js';

/** The most events that wait for delivery. Beyond that, the oldest become dead letters. */
const MOST_WAITING_EVENTS = 10_000;
/** How long delivery of an event is tried: 24 hours, as in Event Grid. */
const EVENT_AGE_MS = 24 * 3600_000;
/** How long a receiver has to answer, as in Event Grid. */
const EVENT_ANSWER_MS = 30_000;
/** Deliveries in parallel. */
const EVENTS_UNDER_WAY = 8;

const PATH = '/runtime/webhooks/EventGrid?functionName=onRegistryEvent';
/** Shorter than Event Grid's 10 s, because somebody is watching here. */
const PAUSES_MS = [1000, 2000, 5000, 10_000, 30_000, 60_000];
/** Statuses after which there is no further try, as in Event Grid. */
const GIVEN_UP: ReadonlySet<number> = new Set([400, 401, 403, 413]);

export interface JournalOptions {
  database: DatabaseSync;
  /** Undefined: events are not recorded at all. */
  url?: string;
  schema: 'eventgrid' | 'cloudevents';
  pausesMs?: number[];
  deadLetters: string;
}

/**
 * Events that wait for delivery. They are stored in the same transaction as the change, until the receiver answers 2xx;
 * so each is delivered at least once, in any order. Pushes do not wait for delivery.
 */
export class EventJournal {
  readonly #options: JournalOptions;
  readonly #url: string | undefined;
  readonly #deadLetters: JsonLinesFile | undefined;
  readonly #underWay = new Map<number, Promise<void>>();
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#url = options.url === undefined ? undefined : receiverUrl(options.url);
    if (this.#url === undefined) return;
    this.#deadLetters = new JsonLinesFile(options.deadLetters, LOG_BYTES);
    this.wake();
  }

  /** Records an event. Call it in the transaction of the change. */
  add(event: RegistryEvent): void {
    if (this.#url === undefined) return;
    const now = Date.now();
    this.#options.database
      .prepare('INSERT INTO events (body, created, due) VALUES (?, ?, ?)')
      .run(JSON.stringify(event), now, now);
  }

  /** The number of undelivered events. */
  get waiting(): number {
    return Number(this.#options.database.prepare('SELECT count(*) AS n FROM events').get()?.n ?? 0);
  }

  /** Delivers due events soon. */
  wake(): void {
    if (this.#url === undefined || this.#stop.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#deliverDue(this.#url ?? ''), 0);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await Promise.allSettled(this.#underWay.values());
    this.#deadLetters?.close();
  }

  #deliverDue(url: string): void {
    const { database } = this.#options;
    this.#dropOldest();
    const rows = database
      .prepare('SELECT * FROM events ORDER BY due LIMIT ?')
      .all(EVENTS_UNDER_WAY * 2)
      .filter((row) => !this.#underWay.has(Number(row.id)));
    for (const row of rows) {
      if (this.#underWay.size >= EVENTS_UNDER_WAY) return;
      const pause = Number(row.due) - Date.now();
      if (pause > 0) {
        this.#timer = setTimeout(() => this.#deliverDue(url), pause);
        return;
      }
      const id = Number(row.id);
      const event = JSON.parse(String(row.body)) as RegistryEvent;
      const delivery = this.#deliver(url, id, event, Number(row.tries), Number(row.created)).finally(() => {
        this.#underWay.delete(id);
        this.wake();
      });
      this.#underWay.set(id, delivery);
    }
  }

  async #deliver(url: string, id: number, event: RegistryEvent, tries: number, created: number): Promise<void> {
    const { contentType, body } = envelope(event, this.#options.schema);
    let answer: string | number;
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': contentType,
          'aeg-event-type': 'Notification',
          'aeg-delivery-count': String(tries),
          'aeg-subscription-name': 'LOCAL',
          'aeg-data-version': '1.0',
          'aeg-metadata-version': '1',
        },
        body,
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(EVENT_ANSWER_MS)]),
      });
      await response.body?.cancel();
      if (response.ok) {
        this.#forget(id);
        return;
      }
      answer = response.status;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      answer = error instanceof Error ? error.message : String(error);
    }
    const tooOld = Date.now() - created > EVENT_AGE_MS;
    if (tooOld || (typeof answer === 'number' && GIVEN_UP.has(answer))) {
      this.#deadLetter(id, event, answer, tries + 1);
      return;
    }
    const pauses = this.#options.pausesMs ?? PAUSES_MS;
    const pause = pauses[Math.min(tries, pauses.length - 1)] ?? 1000;
    this.#options.database
      .prepare('UPDATE events SET tries = ?, due = ? WHERE id = ?')
      .run(tries + 1, Date.now() + pause, id);
  }

  #dropOldest(): void {
    const surplus = this.waiting - MOST_WAITING_EVENTS;
    if (surplus <= 0) return;
    const rows = this.#options.database.prepare('SELECT * FROM events ORDER BY id LIMIT ?').all(surplus);
    for (const row of rows) {
      const event = JSON.parse(String(row.body)) as RegistryEvent;
      this.#deadLetter(Number(row.id), event, 'too many events are waiting', Number(row.tries));
    }
  }

  #deadLetter(id: number, event: RegistryEvent, lastAnswer: string | number, tries: number): void {
    this.#deadLetters?.append({ time: new Date().toISOString(), lastAnswer, tries, event });
    this.#forget(id);
  }

  #forget(id: number): void {
    this.#options.database.prepare('DELETE FROM events WHERE id = ?').run(id);
  }
}

/** A host without a path means the function onRegistryEvent there. */
function receiverUrl(text: string): string {
  const url = new URL(text);
  return url.pathname === '/' && url.search === '' ? new URL(PATH, url).href : url.href;
}
