import { randomUUID } from 'node:crypto';
import type { Database, Row } from './database.js';
import type { HistoryEvent } from './history.js';
import type { Call, Messages } from './messages.js';

export type Status = 'Pending' | 'Running' | 'Suspended' | 'Completed' | 'Failed' | 'Terminated';

/** The orchestration to which a sub-orchestration reports. */
export interface Parent {
  instance: string;
  execution: string;
  task: number;
  call: Call;
}

export interface Instance {
  id: string;
  name: string;
  /** Changes when the id is started again, and with every continueAsNew. */
  execution: string;
  status: Status;
  /** JSON, like output and customStatus. */
  input: string;
  output: string;
  customStatus: string;
  createdAt: number;
  updatedAt: number;
  /** The id of the next activity, sub-orchestration or timer: the library's sequence number. */
  nextTask: number;
  /** How many of the orchestrator's actions were handled. */
  actionsDone: number;
  parent: Parent | undefined;
}

export function isFinal(status: Status): boolean {
  return status === 'Completed' || status === 'Failed' || status === 'Terminated';
}

function toInstance(row: Row): Instance {
  const parent = row['parent'];
  return {
    id: String(row['id']),
    name: String(row['name']),
    execution: String(row['execution']),
    status: String(row['status']) as Status,
    input: String(row['input']),
    output: String(row['output']),
    customStatus: String(row['customStatus']),
    createdAt: Number(row['createdAt']),
    updatedAt: Number(row['updatedAt']),
    nextTask: Number(row['nextTask']),
    actionsDone: Number(row['actionsDone']),
    parent: typeof parent === 'string' ? (JSON.parse(parent) as Parent) : undefined,
  };
}

export interface InstanceFilter {
  createdFrom?: number;
  createdTo?: number;
  statuses?: string[];
  idPrefix?: string;
}

/** The instances and their histories. */
export class Instances {
  readonly #db: Database;
  readonly #messages: Messages;

  constructor(db: Database, messages: Messages) {
    this.#db = db;
    this.#messages = messages;
  }

  get(id: string): Instance | undefined {
    const row = this.#db.get('SELECT * FROM instances WHERE id = ?', id);
    return row === undefined ? undefined : toInstance(row);
  }

  /** Lists instances by creation time. */
  list(filter: InstanceFilter, limit: number, offset = 0): Instance[] {
    const rows = this.#db.all(
      `SELECT * FROM instances WHERE createdAt >= ? AND createdAt <= ? AND substr(id, 1, length(?)) = ?
        AND (? = '[]' OR status IN (SELECT value FROM json_each(?))) ORDER BY createdAt, id LIMIT ? OFFSET ?`,
      filter.createdFrom ?? 0,
      filter.createdTo ?? Number.MAX_SAFE_INTEGER,
      filter.idPrefix ?? '',
      filter.idPrefix ?? '',
      JSON.stringify(filter.statuses ?? []),
      JSON.stringify(filter.statuses ?? []),
      limit,
      offset,
    );
    return rows.map(toInstance);
  }

  /**
   * Call inside a transaction.
   * @returns the status of the active instance with this id, if there is one; then nothing is started
   */
  start(id: string, name: string, input: string, parent?: Parent): Status | undefined {
    const existing = this.get(id);
    if (existing !== undefined && !isFinal(existing.status)) {
      return existing.status;
    }
    this.remove(id);
    const now = Date.now();
    const execution = randomUUID();
    this.#db.run(
      `INSERT INTO instances (id, name, execution, status, input, createdAt, updatedAt, parent)
        VALUES (?, ?, ?, 'Pending', ?, ?, ?, ?)`,
      id,
      name,
      execution,
      input,
      now,
      now,
      parent === undefined ? null : JSON.stringify(parent),
    );
    this.#messages.send({ queue: 'instance', instance: id, execution, body: { kind: 'start' } });
    return undefined;
  }

  update(instance: Instance): void {
    this.#db.run(
      `UPDATE instances SET execution = ?, status = ?, input = ?, output = ?, customStatus = ?, updatedAt = ?,
        nextTask = ?, actionsDone = ? WHERE id = ?`,
      instance.execution,
      instance.status,
      instance.input,
      instance.output,
      instance.customStatus,
      Date.now(),
      instance.nextTask,
      instance.actionsDone,
      instance.id,
    );
  }

  /** Removes an instance and everything that belongs to it. */
  remove(id: string): void {
    this.#db.run('DELETE FROM messages WHERE instance = ? AND queue = ?', id, 'instance');
    this.#db.run('DELETE FROM history WHERE instance = ?', id);
    this.#db.run('DELETE FROM instances WHERE id = ?', id);
  }

  /** Oldest first, all marked as played. */
  history(id: string): HistoryEvent[] {
    return this.#db.all('SELECT event FROM history WHERE instance = ? ORDER BY seq', id).map((row) => {
      const event = JSON.parse(String(row['event'])) as HistoryEvent;
      return { ...event, IsPlayed: true };
    });
  }

  historyLength(id: string): number {
    return Number(this.#db.get('SELECT count(*) AS length FROM history WHERE instance = ?', id)?.['length']);
  }

  append(id: string, from: number, events: HistoryEvent[]): void {
    for (const [index, event] of events.entries()) {
      this.#db.run(
        'INSERT INTO history (instance, seq, event) VALUES (?, ?, ?)',
        id,
        from + index,
        JSON.stringify(event),
      );
    }
  }

  clearHistory(id: string): void {
    this.#db.run('DELETE FROM history WHERE instance = ?', id);
  }

  /** Removes one timer that was cancelled, or all timers of an instance. */
  dropTimers(id: string, task?: number): void {
    this.#db.run(
      `DELETE FROM messages WHERE instance = ? AND queue = 'instance' AND kind = 'timer'
        AND (? IS NULL OR json_extract(body, '$.task') = ?)`,
      id,
      task ?? null,
      task ?? null,
    );
  }
}
