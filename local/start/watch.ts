import type { LocalApi, LocalPromotion, LocalStep } from './api.js';
import { formatBytes, printable, type Terminal } from './terminal.js';

const LOOK_MS = 300;
/** Ignored events are read once in this many polls. */
const IGNORED_EVERY = 5;
const MARKS: Record<LocalStep['state'], string> = { working: '…', waiting: '⏳', done: '✓', failed: '✗' };

/** Steps that are of no interest to a person. */
const HOUSEKEEPING: ReadonlySet<string> = new Set(['closeRun']);

/** The step that records that a run waits. It is done afterwards or pauses first. */
const WAITING = 'markWaiting';

/**
 * Outcomes after which the destination is as the rule requires. `observed` counts as well, although nothing was
 * written.
 */
const GOOD: ReadonlySet<string> = new Set(['promoted', 'unchanged', 'observed']);

export function isGood(promotion: LocalPromotion): boolean {
  return GOOD.has(promotion.last?.outcome ?? '');
}

interface WatchOptions {
  api: LocalApi;
  terminal: Terminal;
  /** Pushes to this registry that no rule matches are reported. */
  source: string;
  /** Called for every promotion at each look. */
  onRow: (promotion: LocalPromotion) => void;
}

/** Prints the progress of every promotion, each line once, until it is stopped. */
export class Watcher {
  readonly #options: WatchOptions;
  readonly #shown = new Set<string>();
  #status = '';
  #stopped = false;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Skips promotions that have ended and events that were ignored before, and prints the running ones. */
  async skipPast(): Promise<void> {
    const { api, terminal } = this.#options;
    for (const promotion of await api.promotions()) {
      if (promotion.last !== undefined) this.#shown.add(promotion.last.runId);
      if (promotion.runOpen)
        terminal.say(
          `resuming ${nameOf(promotion)} (${promotion.state === 'working' ? 'in progress' : promotion.state})`,
        );
    }
    for (const { at, reference } of await api.ignored()) this.#shown.add(`ignored ${at} ${reference}`);
  }

  async run(): Promise<void> {
    const { api, terminal, onRow } = this.#options;
    for (let look = 0; !this.#stopped; look += 1) {
      this.#status = '';
      // Oldest first, so that the lines are in the order of events.
      for (const promotion of (await api.promotions()).toReversed()) {
        await this.#look(promotion);
        onRow(promotion);
      }
      terminal.status(this.#status);
      if (look % IGNORED_EVERY === 0) await this.#showIgnored();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    terminal.status('');
  }

  stop(): void {
    this.#stopped = true;
  }

  #once(key: string, text: string): void {
    if (this.#shown.has(key)) return;
    this.#shown.add(key);
    this.#options.terminal.say(text);
  }

  async #look(promotion: LocalPromotion): Promise<void> {
    const { last, runId, runOpen } = promotion;
    const isNewEnd = last !== undefined && !this.#shown.has(last.runId);
    if (isNewEnd) {
      await this.#showSteps(promotion, last.runId);
      const { colors } = this.#options.terminal;
      const outcome = (isGood(promotion) ? colors.green : colors.red)(last.outcome);
      const why = [[last.code, last.reason].filter(isText).join(': '), last.remedy].filter(isText).join('. ');
      this.#once(
        last.runId,
        `${outcome} ${nameOf(promotion)} → ${promotion.destination}${why && ` (${printable(why)})`}`,
      );
    }
    if (runOpen && runId !== undefined) await this.#showSteps(promotion, runId);
  }

  async #showSteps(promotion: LocalPromotion, runId: string): Promise<void> {
    const { terminal, api } = this.#options;
    for (const step of await api.steps(runId)) {
      if (HOUSEKEEPING.has(step.step) && step.state !== 'failed') continue;
      const isWorking = step.state === 'working';
      const text = isWorking ? moved(step) : step.text && `: ${printable(step.text)}`;
      const isWaiting = step.step === WAITING && (step.state === 'done' || step.state === 'waiting');
      const what = isWaiting ? 'waits for evidence' : printable(step.step);
      const state = isWaiting ? 'waiting' : step.state;
      const line = `  ${MARKS[state]} ${nameOf(promotion)}  ${what}${text}`;
      if (isWorking && terminal.isLive) {
        this.#status = line;
        continue;
      }
      // One line for each state of a step, and for each tenth of the bytes it moves.
      this.#once(`${runId} ${step.step} ${state} ${isWorking ? tenthOf(step) : step.text}`, line);
    }
  }

  async #showIgnored(): Promise<void> {
    const { api, source } = this.#options;
    for (const { at, reference, reason } of (await api.ignored()).toReversed()) {
      if (!reference.startsWith(`${source}/`)) continue;
      this.#once(`ignored ${at} ${reference}`, `ignored ${printable(reference)} (${printable(reason)})`);
    }
  }
}

function nameOf({ source }: LocalPromotion): string {
  return `${source.repository}:${source.tag}`;
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function moved({ doneBytes, totalBytes }: LocalStep): string {
  if (doneBytes === undefined || totalBytes === undefined || totalBytes === 0) return '';
  return ` ${formatShare(doneBytes, totalBytes)}`;
}

/** Formats a share, for example `52 % of 314.7 MB`. */
export function formatShare(done: number, total: number): string {
  return `${Math.min(100, Math.floor((100 * done) / Math.max(total, 1)))} % of ${formatBytes(total)}`;
}

function tenthOf({ doneBytes = 0, totalBytes }: LocalStep): number {
  return totalBytes ? Math.floor((10 * doneBytes) / totalBytes) : 0;
}
