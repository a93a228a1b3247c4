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

/** A call of an activity or a sub-orchestration. `retry` is passed on to everything that follows from it. */
export interface Call {
  kind: 'activity' | 'orchestration';
  name: string;
  /** JSON. */
  input: string;
  instanceId?: string;
  retry?: { options: RetryOptions; attempt: number };
  /** Set by --chaos: no further attempt is made. */
  isGivenUp?: true;
}

/** The input of a turn. */
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
  /** False for schedules more frequent than a minute: they have no status and are never past due. */
  monitored: boolean;
}

export interface NewMessage {
  queue: 'instance' | 'activity' | 'schedule';
  /** The instance that the message is for or from; for a schedule, the function. */
  instance: string;
  /** The execution of the instance that it belongs to; empty: any. */
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

/** How long a message of each queue stays locked without a sign of life from its host, in milliseconds. */
export type LockMs = Record<NewMessage['queue'], number>;

/**
 * The messages of all queues. A message is taken under a lock that expires, then released or deleted. Delivered at
 * least once.
 */
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

  /**
   * Call inside a transaction, together with the rows it belongs to. The other methods about locks run outside
   * transactions.
   */
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

  /** Takes the next message of `queue` that is due and not locked. */
  take<B>(queue: NewMessage['queue']): Message<B> | undefined {
    const now = Date.now();
    const token = randomUUID();
    const order = this.#chaos.happens('shuffle') ? 'random()' : 'm.visibleAt, m.id';
    // Chaos: the message is taken but not locked.
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

  /** True if nobody has taken the message since. */
  isMine(message: Message<unknown>): boolean {
    return this.#db.get('SELECT 1 FROM messages WHERE id = ? AND token = ?', message.id, message.token) !== undefined;
  }

  delete(message: Message<unknown>): void {
    this.#db.run('DELETE FROM messages WHERE id = ?', message.id);
  }

  /** Releases the message; it becomes visible again after `delayMs`. */
  release(message: Message<unknown>, delayMs: number): void {
    this.#db.lock(
      "UPDATE messages SET lockedBy = '', lockedUntil = 0, visibleAt = ? WHERE id = ? AND token = ?",
      Date.now() + delayMs,
      message.id,
      message.token,
    );
  }

  /** Renews the locks of all messages that this host holds, including those that it was too busy to renew in time. */
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
   * Releases the timer functions of a host. Its turns and activities stay locked until their locks expire, because a
   * storage queue does not notice that a receiver is gone.
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
