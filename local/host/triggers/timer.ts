import { Cron } from 'croner';
import { ConfigurationError } from '../../../src/oci/index.js';
import type { AppFunction } from '../app.js';
import type { Database } from '../durable/database.js';
import type { Message, Messages, ScheduleBody } from '../durable/messages.js';
import type { Invoker } from '../invoke.js';
import { describe, log } from '../log.js';
import { expand } from '../options.js';
import { unsupported } from '../unsupported.js';

/** The latest time that a Date can hold. */
const LAST_DAY = 8.64e15;

interface Timer {
  fn: AppFunction;
  schedule: string;
  cron: Cron;
  /** False for schedules more frequent than a minute: missed ticks are not made up for. */
  isMonitored: boolean;
}

export interface TimerTrigger {
  /** Writes the ticks that are due into the database. One of several hosts does it. */
  tick(): void;
  run(message: Message<ScheduleBody>): Promise<void>;
  /** Runs a timer function as soon as possible. @returns false if there is none with that name */
  runNow(name: string): boolean;
}

function toTimer(fn: AppFunction, settings: Record<string, string | undefined>): Timer {
  const schedule = expand(String(fn.trigger['schedule']), settings);
  if (/^[\d.]*\d+:\d+(:\d+)?$/.test(schedule)) {
    throw unsupported(`a time span as schedule (function ${fn.name}: ${schedule})`);
  }
  let cron;
  try {
    cron = new Cron(schedule, { paused: true, timezone: 'UTC', domAndDow: true });
  } catch (error) {
    throw new ConfigurationError('BAD_SCHEDULE', `schedule '${schedule}' of ${fn.name} is not an NCRONTAB expression`, {
      cause: error,
      remedy: 'Use six fields: second minute hour day month day-of-week.',
    });
  }
  const [first, second] = cron.nextRuns(2);
  const gapMs =
    first === undefined || second === undefined ? Number.MAX_SAFE_INTEGER : second.getTime() - first.getTime();
  return { fn, schedule, cron, isMonitored: fn.trigger['useMonitor'] !== false && gapMs >= 60_000 };
}

/** The next time in milliseconds; for a schedule without one, the latest possible time. */
function nextAfter(timer: Timer, at: number): number {
  return timer.cron.nextRun(new Date(at))?.getTime() ?? LAST_DAY;
}

function toIso(time: number): string {
  return new Date(time).toISOString();
}

/**
 * Runs timer functions, in UTC. Ticks that were missed while no host ran are made up for once, as past due.
 * @throws ConfigurationError `BAD_SCHEDULE`, `SETTING_MISSING`, `LOCAL_HOST_UNSUPPORTED`
 */
export function createTimerTrigger(
  functions: AppFunction[],
  db: Database,
  messages: Messages,
  invoker: Invoker,
  settings: Record<string, string | undefined>,
): TimerTrigger {
  const startedAt = Date.now();
  const ofTimer = functions.filter((fn) => fn.trigger.type === 'timerTrigger');
  const timers = ofTimer.map((fn) => toTimer(fn, settings));
  const send = (timer: Timer, tick: { isPastDue: boolean; last: number; next: number }) => {
    const body = { kind: 'schedule', monitored: timer.isMonitored, ...tick } as const;
    messages.send({ queue: 'schedule', instance: timer.fn.name, execution: '', body });
  };

  db.transaction(() => {
    for (const timer of timers) {
      const { name } = timer.fn;
      const next = nextAfter(timer, startedAt);
      const row = db.get('SELECT schedule, next FROM timers WHERE name = ?', name);
      if (
        row === undefined ||
        row['schedule'] !== timer.schedule ||
        (!timer.isMonitored && Number(row['next']) < startedAt)
      ) {
        db.run(
          'INSERT OR REPLACE INTO timers (name, schedule, last, next) VALUES (?, ?, 0, ?)',
          name,
          timer.schedule,
          next,
        );
      }
      if (timer.fn.trigger['runOnStartup'] === true) {
        send(timer, { isPastDue: false, last: 0, next });
      }
    }
  });

  return {
    tick() {
      for (const timer of timers) {
        const row = db.get('SELECT last, next FROM timers WHERE name = ? AND next <= ?', timer.fn.name, Date.now());
        if (row === undefined) {
          continue;
        }
        db.transaction(() => {
          const [last, due] = [Number(row['last']), Number(row['next'])];
          const next = nextAfter(timer, Date.now());
          const isOurs = db.run(
            'UPDATE timers SET last = ?, next = ? WHERE name = ? AND next = ?',
            due,
            next,
            timer.fn.name,
            due,
          );
          const isRunning = db.get("SELECT 1 FROM messages WHERE queue = 'schedule' AND instance = ?", timer.fn.name);
          // A tick is dropped while the function still runs: timer functions never overlap, as in the real host.
          if (isOurs > 0 && isRunning === undefined) {
            send(timer, { isPastDue: due < startedAt, last, next });
          }
        });
      }
    },

    runNow(name) {
      const timer = timers.find((timer) => timer.fn.name.toLowerCase() === name.toLowerCase());
      if (timer !== undefined) {
        db.transaction(() => send(timer, { isPastDue: false, last: 0, next: nextAfter(timer, Date.now()) }));
      }
      return timer !== undefined;
    },

    async run(message) {
      const timer = timers.find((timer) => timer.fn.name === message.instance);
      if (timer !== undefined) {
        const { isPastDue, last, next, monitored } = message.body;
        const status = { Last: toIso(last), LastUpdated: toIso(last), Next: toIso(next) };
        const info = {
          Schedule: { AdjustForDST: true },
          ScheduleStatus: monitored ? status : null,
          IsPastDue: isPastDue,
        };
        try {
          await invoker.invoke(timer.fn, { json: JSON.stringify(info) });
        } catch (error) {
          log('error', timer.fn.name, describe(error));
        }
      }
      db.transaction(() => messages.delete(message));
    },
  };
}
