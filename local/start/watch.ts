import pc from 'picocolors';
import type { LocalApi, LocalPromotion, LocalStep } from './api.js';

const LOOK_MS = 300;
const MARKS: Record<LocalStep['state'], string> = { working: '…', waiting: '⏳', done: '✓', failed: '✗' };

/** Steps that say nothing to a person. */
const HOUSEKEEPING: ReadonlySet<string> = new Set(['beginRun', 'closeRun']);

function percent({ doneBytes, totalBytes }: LocalStep): string {
  if (doneBytes === undefined || totalBytes === undefined || totalBytes === 0) return '';
  return ` ${Math.min(100, Math.round((100 * doneBytes) / totalBytes))} %`;
}

function name({ source }: LocalPromotion): string {
  return `${source.repository}:${source.tag}`;
}

/** Prints what every promotion is doing, each line once; tells of each run that ends. */
export class Watcher {
  readonly #api: LocalApi;
  readonly #say: (text: string) => void;
  readonly #onEnd: (promotion: LocalPromotion) => void;
  readonly #shown = new Set<string>();
  readonly #ended = new Set<string>();
  #stopped = false;

  constructor(api: LocalApi, say: (text: string) => void, onEnd: (promotion: LocalPromotion) => void) {
    this.#api = api;
    this.#say = say;
    this.#onEnd = onEnd;
  }

  /** What has ended before is not told again. */
  async skipPast(): Promise<void> {
    for (const promotion of await this.#api.promotions()) {
      if (promotion.last !== undefined) this.#ended.add(promotion.last.runId);
    }
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      for (const promotion of await this.#api.promotions()) await this.#look(promotion);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  async #look(promotion: LocalPromotion): Promise<void> {
    const { last } = promotion;
    const isNewEnd = last !== undefined && !this.#ended.has(last.runId);
    if (promotion.runOpen && promotion.runId !== undefined) await this.#showSteps(promotion, promotion.runId);
    if (!isNewEnd) return;
    await this.#showSteps(promotion, last.runId);
    this.#ended.add(last.runId);
    const why =
      last.code === undefined
        ? ''
        : ` ${last.code}: ${last.reason ?? ''}${last.remedy === undefined ? '' : ` ${last.remedy}`}`;
    const good = last.outcome === 'promoted' || last.outcome === 'unchanged';
    this.#say(`${(good ? pc.green : pc.red)(last.outcome)} ${name(promotion)} → ${promotion.destination}${why}`);
    this.#onEnd(promotion);
  }

  async #showSteps(promotion: LocalPromotion, runId: string): Promise<void> {
    for (const step of await this.#api.steps(runId)) {
      if (HOUSEKEEPING.has(step.step) && step.state !== 'failed') continue;
      const line = `  ${MARKS[step.state]} ${name(promotion)}  ${step.step}${step.state === 'working' ? percent(step) : ''}${step.text === '' ? '' : `: ${step.text}`}`;
      // A line for each state of a step, and for each further tenth of what it moves.
      const tenth = step.totalBytes ? Math.floor((10 * (step.doneBytes ?? 0)) / step.totalBytes) : 0;
      const key = `${runId} ${step.step} ${step.state} ${step.state === 'working' ? tenth : step.text}`;
      if (this.#shown.has(key)) continue;
      this.#shown.add(key);
      this.#say(line);
    }
  }
}
