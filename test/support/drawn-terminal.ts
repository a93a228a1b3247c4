import type { Terminal } from '../../src/cli/io.js';

const ESCAPE = /\p{Cc}\[(\d*)([AJKm])|\r|\n|\P{Cc}+/gu;

/** A terminal that knows what is to be seen on it: no more than the sequences that progress bars are drawn with. */
export class DrawnTerminal implements Terminal {
  /** How often something was written. */
  writes = 0;
  /** The most lines that were drawn over at once. */
  mostLinesUp = 0;
  readonly #size: { columns: number; rows: number };
  #lines: string[] = [''];
  #at = 0;

  constructor(size = { columns: 100, rows: 24 }) {
    this.#size = size;
  }

  columns(): number {
    return this.#size.columns;
  }

  rows(): number {
    return this.#size.rows;
  }

  write(text: string): void {
    this.writes += 1;
    const known = [...text.matchAll(ESCAPE)];
    if (known.map(([all]) => all).join('') !== text) throw new Error(`not understood: ${JSON.stringify(text)}`);
    for (const [all, count, kind] of known) {
      if (kind === 'A') {
        this.mostLinesUp = Math.max(this.mostLinesUp, Number(count));
        this.#at -= Number(count);
        if (this.#at < 0) throw new Error('above the first line');
      } else if (kind === 'J') this.#lines = [...this.#lines.slice(0, this.#at), ''];
      else if (all === '\n') {
        this.#at += 1;
        this.#lines[this.#at] ??= '';
      } else if (kind === undefined && all !== '\r') {
        this.#lines[this.#at] = `${this.#lines[this.#at] ?? ''}${all}`;
        if ((this.#lines[this.#at] ?? '').length >= this.#size.columns) throw new Error(`wraps: ${all}`);
      }
    }
  }

  /** What is to be seen now, without colours. */
  seen(): string[] {
    return this.#lines.slice(0, -1);
  }
}
