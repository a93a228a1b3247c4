import { randomUUID } from 'node:crypto';
import type { Chaos } from '../chaos.js';
import type { Database, Row } from './database.js';
import type { HistoryEvent } from './history.js';

export interface RetryOptions {
  firstRetryIntervalInMilliseconds: number;
  maxNumberOfAttempts: number;
  backoffCoefficient?: number;
  maxRetryIntervalInMilliseconds?: number;
}

/** An activity or a sub-orchestration to be called; `retry` travels with it and with whatever it leads to. */
export interface Call {
  kind: 'activity' | 'orchestration';
  name: string;
  /** JSON. */
  input: string;
  instanceId?: string;
  retry?: { options: RetryOptions; attempt: number };
  /** By --chaos: no further attempt is tried either. */
  isGivenUp?: true;
}

/** What a turn is fed with. */
export type TurnBody =
  | { kind: 'start' }
  | { kind: 'completion'; event: Partial<HistoryEvent> & { EventType: number }; call: Call }
  | { kind: 'timer'; task: number; fireAt: string; call?: Call }
  | { kind: 'event'; name: string; input: string }
  | { kind: 'terminate'; reason: string }
  | { kind: 'suspend' }
  | { kind: 'resume' };

export interface ActivityBody {
  kind: 'activity';
  task: number;
  call: Call;
}

export interface ScheduleBody {
  kind: 'schedule';
  isPastDue: boolean;
  last: number;
  next: number;
  /** Schedules under a minute are not watched: no status, never past due. */
  monitored: boolean;
}

export interface NewMessage {
  queue: 'instance' | 'activity' | 'schedule';
  /** The instance that it is for or from; the function of a schedule. */
  instance: string;
  /** Which execution of the instance it belongs to; empty: whichever there is. */
  execution: string;
  body: TurnBody | ActivityBody | ScheduleBody;
  visibleAt?: number;
}

export interface Message<B> {
  id: number;
  token: string;
  instance: string;
  execution: string;
  body: B;
  tries: number;
}

const TAKE = `
UPDATE messages SET lockedBy = ?, token = ?, lockedUntil = ?, tries = tries + 1 WHERE id = (
  SELECT m.id FROM messages m LEFT JOIN instances i ON i.id = m.instance
  WHERE m.queue = ? AND m.visibleAt <= ? AND m.lockedUntil <= ?
    AND (m.queue <> 'instance' OR (
      NOT EXISTS (SELECT 1 FROM messages o WHERE o.instance = m.instance AND o.queue = 'instance' AND o.lockedUntil > ?)
      AND (i.status IS NOT 'Suspended' OR m.kind IN ('resume', 'terminate'))))
  ORDER BY `;

/** How long a message of each queue stays invisible to others without a sign of life of the host that took it. */
export type LockMs = Record<NewMessage['queue'], number>;

/** The messages of all queues: taken under a lock that ends, given back, deleted. At least once, never exactly once. */
export class Messages {
  readonly #db: Database;
  readonly #hostId: string;
  readonly #lockMs: LockMs;
  readonly #chaos: Chaos;

  constructor(db: Database, hostId: string, lockMs: LockMs, chaos: Chaos) {
    this.#db = db;
    this.#hostId = hostId;
    this.#lockMs = lockMs;
    this.#chaos = chaos;
  }

  /** Inside a transaction, with what it belongs to. The other methods about locks stand outside of any. */
  send(message: NewMessage): void {
    const copies = this.#chaos.happens('deliverTwice') ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#db.run(
        'INSERT INTO messages (queue, instance, execution, kind, body, visibleAt) VALUES (?, ?, ?, ?, ?, ?)',
        message.queue,
        message.instance,
        message.execution,
        message.body.kind,
        JSON.stringify(message.body),
        (message.visibleAt ?? Date.now()) + this.#chaos.delayMs(message.body.kind),
      );
    }
  }

  /** The next message of `queue` that is due and that nobody holds. */
  take<B>(queue: NewMessage['queue']): Message<B> | undefined {
    const now = Date.now();
    const token = randomUUID();
    const order = this.#chaos.happens('shuffle') ? 'random()' : 'm.visibleAt, m.id';
    // Unlocked early: taken, and yet nobody's.
    const isUnlocked = this.#chaos.happens('unlockEarly');
    const sql = `${TAKE}${order} LIMIT 1) RETURNING id, token, instance, execution, body, tries`;
    const row = this.#db.lock(
      sql,
      isUnlocked ? '' : this.#hostId,
      token,
      isUnlocked ? 0 : now + this.#lockMs[queue],
      queue,
      now,
      now,
      now,
    );
    return row === undefined ? undefined : toMessage<B>(row);
  }

  /** Whether nobody has taken it since. */
  isMine(message: Message<unknown>): boolean {
    return this.#db.get('SELECT 1 FROM messages WHERE id = ? AND token = ?', message.id, message.token) !== undefined;
  }

  delete(message: Message<unknown>): void {
    this.#db.run('DELETE FROM messages WHERE id = ?', message.id);
  }

  /** Gives it back, to be seen again after `delayMs`. */
  release(message: Message<unknown>, delayMs: number): void {
    this.#db.lock(
      "UPDATE messages SET lockedBy = '', lockedUntil = 0, visibleAt = ? WHERE id = ? AND token = ?",
      Date.now() + delayMs,
      message.id,
      message.token,
    );
  }

  /** A sign of life: everything that this host holds stays held, also what it was too busy to renew in time. */
  renew(): void {
    const now = Date.now();
    for (const [queue, lockMs] of Object.entries(this.#lockMs)) {
      this.#db.lock(
        'UPDATE messages SET lockedUntil = ? WHERE lockedBy = ? AND queue = ?',
        now + lockMs,
        this.#hostId,
        queue,
      );
    }
  }

  /**
   * Lets go of the timer functions that a host runs. Its turns and activities stay invisible until their locks end: nothing in a
   * storage queue tells that whoever took a message is gone.
   */
  releaseTimers(hostId: string): void {
    this.#db.run(
      "UPDATE messages SET lockedBy = '', lockedUntil = 0 WHERE lockedBy = ? AND queue = 'schedule'",
      hostId,
    );
  }
}

function toMessage<B>(row: Row): Message<B> {
  return {
    id: Number(row['id']),
    token: String(row['token']),
    instance: String(row['instance']),
    execution: String(row['execution']),
    body: JSON.parse(String(row['body'])) as B,
    tries: Number(row['tries']),
  };
}
