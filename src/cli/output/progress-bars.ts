import pc from 'picocolors';
import type { Descriptor } from '../../oci/index.js';
import type { Terminal } from '../io.js';
import { onTerminal, titleOf } from './status-line.js';

/** Maximum redraws per second. */
const PICTURES_PER_SECOND = 5;
const PICTURE_MS = 1000 / PICTURES_PER_SECOND;
const BAR_CELLS = 20;
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const SMALLEST = { columns: 40, rows: 4 };
/** Weight of the former speed in the average: about the last second and a half counts. */
const SPEED_INERTIA = 0.85;

type Colors = ReturnType<typeof pc.createColors>;

/** A node that is being transferred. */
interface Row {
  word: string;
  descriptor: Descriptor;
  startedMs: number;
  movedBytes: number;
  /** The bytes at the last redraw. */
  seenBytes: number;
  bytesPerSecond: number;
}

/** `12.3 MB` */
function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  return `${power === 0 ? Math.round(bytes) : (bytes / 1000 ** power).toFixed(1)} ${units[power] ?? ''}`;
}

function formatSeconds(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m${Math.floor(seconds % 60)}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}

/** Terminal cells of a text: East Asian characters take two, signs and box lines one. */
function cellsOf(text: string): number {
  return Array.from(text, (char) => char.codePointAt(0) ?? 0).reduce(
    (cells, code) => cells + (code < 0x1100 || (code >= 0x2000 && code < 0x2c00) ? 1 : 2),
    0,
  );
}

/** Cuts a text to a number of cells, with "…" at its end. */
function cut(text: string, cells: number): string {
  if (cellsOf(text) <= cells) return text;
  let kept = '';
  for (const char of text) {
    if (cellsOf(kept + char) > cells - 1) break;
    kept += char;
  }
  return cells > 0 ? `${kept}…` : '';
}

function keyOf(descriptor: Descriptor): string {
  return `${descriptor.digest} ${titleOf(descriptor)}`;
}

/**
 * Progress bars on a terminal: a final line for each node that has arrived, with its digest, and below them one that is
 * redrawn for each node in transfer. The timer does not keep the process alive.
 */
export class ProgressBars {
  readonly #terminal: Terminal;
  readonly #colors: Colors;
  readonly #now: () => number;
  readonly #rows = new Map<string, Row>();
  readonly #timer: NodeJS.Timeout;
  /** Lines to write above the bars. */
  #kept: string[] = [];
  #drawnLines = 0;
  #pictures = 0;
  #drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal, options: { colors: boolean; now?: () => number }) {
    this.#terminal = terminal;
    this.#colors = pc.createColors(options.colors);
    this.#now = options.now ?? (() => performance.now());
    this.#timer = setInterval(() => this.draw(), PICTURE_MS).unref();
  }

  /** A transfer starts, or continues under another word. */
  start(word: string, descriptor: Descriptor): void {
    const row = this.#rows.get(keyOf(descriptor));
    if (row !== undefined) row.word = word;
    else {
      const [startedMs, movedBytes, seenBytes, bytesPerSecond] = [this.#now(), 0, 0, 0];
      this.#rows.set(keyOf(descriptor), { word, descriptor, startedMs, movedBytes, seenBytes, bytesPerSecond });
    }
    // Drawn at once if the last redraw is long ago.
    if (this.#now() - this.#drawnAtMs >= PICTURE_MS) this.draw();
  }

  move(descriptor: Descriptor, moreBytes: number): void {
    const row = this.#rows.get(keyOf(descriptor));
    if (row !== undefined) row.movedBytes += moreBytes;
  }

  /** A node has arrived, or existed. */
  end(word: string, descriptor: Descriptor): void {
    const row = this.#rows.get(keyOf(descriptor));
    this.#rows.delete(keyOf(descriptor));
    const size = formatBytes(descriptor.size);
    const took = formatSeconds(row === undefined ? 0 : this.#now() - row.startedMs);
    const right = ` ${size}/${size} 100% ${took.padStart(6)}`;
    this.#kept.push(
      this.#line({ mark: this.#colors.green('✓'), left: `${word} ${onTerminal(titleOf(descriptor))}`, right }),
      cut(`  └─ ${descriptor.digest}`, this.#columns()),
    );
  }

  /** Writes a line of text above the bars. */
  say(line: string): void {
    this.#kept.push(line);
  }

  /** Redraws everything in one write. */
  draw(): void {
    this.#pictures += 1;
    const most = Math.max(SMALLEST.rows, this.#terminal.rows()) - 2;
    const rows = [...this.#rows.values()];
    const lines = rows.slice(0, most).map((row) => this.#moving(row));
    if (rows.length > most) lines.push(cut(`  and ${rows.length - most} more`, this.#columns()));
    this.#paint(lines);
  }

  /** The last redraw: transfers that did not finish are marked. */
  close(): void {
    clearInterval(this.#timer);
    for (const { word, descriptor } of this.#rows.values()) {
      const left = `${word} ${onTerminal(titleOf(descriptor))}`;
      this.#kept.push(this.#line({ mark: this.#colors.red('✗'), left, right: '' }));
    }
    this.#rows.clear();
    this.#paint([]);
  }

  #columns(): number {
    // Some terminals wrap a line that fills the last cell.
    return Math.max(SMALLEST.columns, this.#terminal.columns()) - 1;
  }

  #paint(lines: readonly string[]): void {
    if (this.#kept.length === 0 && lines.length === 0 && this.#drawnLines === 0) return;
    const up = this.#drawnLines === 0 ? '' : `\u001b[${this.#drawnLines}A`;
    const text = [...this.#kept, ...lines].map((line) => `${line}\n`).join('');
    this.#terminal.write(`${up}\r\u001b[J${text}`);
    this.#kept = [];
    this.#drawnAtMs = this.#now();
    this.#drawnLines = lines.length;
  }

  #moving(row: Row): string {
    const { word, descriptor, startedMs, movedBytes } = row;
    const perSecond = (movedBytes - row.seenBytes) * PICTURES_PER_SECOND;
    row.bytesPerSecond =
      row.seenBytes === 0 ? perSecond : row.bytesPerSecond * SPEED_INERTIA + perSecond * (1 - SPEED_INERTIA);
    row.seenBytes = movedBytes;
    const part = descriptor.size === 0 ? 1 : Math.min(1, movedBytes / descriptor.size);
    const full = Math.floor(part * BAR_CELLS);
    const bar = `[${'='.repeat(full)}${'.'.repeat(BAR_CELLS - full)}]`;
    const speed = `(${`${formatBytes(row.bytesPerSecond)}/s`.padStart(10)})`;
    const took = formatSeconds(this.#now() - startedMs);
    return this.#line({
      mark: this.#colors.yellow(SPINNER.charAt(this.#pictures % SPINNER.length)),
      bar: ` ${bar}${speed}`,
      left: `${word} ${onTerminal(titleOf(descriptor))}`,
      right: ` ${formatBytes(movedBytes)}/${formatBytes(descriptor.size)} ${Math.floor(part * 100)}% ${took.padStart(6)}`,
    });
  }

  /** Without enough room, the name is cut, then the bar is left out. @param mark one cell, with its colour */
  #line({ mark, bar = '', left, right }: { mark: string; bar?: string; left: string; right: string }): string {
    const room = this.#columns() - 2 - cellsOf(right);
    const shown = room - cellsOf(bar) >= BAR_CELLS ? bar : '';
    const name = cut(left, room - cellsOf(shown));
    const padding = ' '.repeat(Math.max(0, room - cellsOf(shown) - cellsOf(name)));
    return `${mark}${this.#colors.blue(shown)} ${name}${padding}${right}`;
  }
}
