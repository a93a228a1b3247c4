import type { Colors } from './colors.js';
import { onTerminal } from './status-line.js';

/** Columns of a terminal that a table fits without `--wide`. */
const TABLE_COLUMNS = 100;
/** Minimum characters of a cell that is cut. */
const LEAST_COLUMNS = 12;
const GAP = '  ';

export interface Column<T> {
  heading: string;
  text: (row: T) => string;
  /** Used instead of `text` with `--wide`. */
  wideText?: (row: T) => string;
  /** True for a column that only `--wide` shows. */
  isWide?: true;
  /** The end at which a cell is cut if the table is too wide. Without it, the column stays whole. */
  cut?: 'start' | 'end';
  isState?: true;
}

/** Lines of a table, the headings first. Without `wide`, they have 100 characters at most. */
export function tableLines<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  { wide, colors }: { wide: boolean; colors: Colors },
): string[] {
  const shown = columns.filter(({ isWide = false }) => wide || !isWide);
  const cellsOf = (row: T): string[] =>
    shown.map(({ text, wideText = text }) => onTerminal((wide ? wideText : text)(row) || '-'));
  const cells = [shown.map(({ heading }) => heading), ...rows.map(cellsOf)];
  const widths = shown.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  if (!wide) shrink(widths, shown);
  return cells.map((row, line) =>
    row
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        const written = fit(cell, width, shown[at]?.cut);
        const padding = at === row.length - 1 ? '' : ' '.repeat(width - written.length);
        const isState = shown[at]?.isState === true;
        return `${line === 0 ? colors.heading(written) : isState ? colors.state(written) : written}${padding}`;
      })
      .join(GAP),
  );
}

/** Narrows the widest column that may be cut, until the table fits or no column can be narrower. */
function shrink(widths: number[], columns: readonly { cut?: 'start' | 'end' }[]): void {
  const room = TABLE_COLUMNS - GAP.length * (columns.length - 1);
  for (let over = widths.reduce((sum, width) => sum + width, -room); over > 0; over -= 1) {
    const candidates = columns.map(({ cut }, at) => (cut === undefined ? 0 : (widths[at] ?? 0)));
    const widest = Math.max(...candidates);
    if (widest <= LEAST_COLUMNS) return;
    widths[candidates.indexOf(widest)] = widest - 1;
  }
}

function fit(cell: string, width: number, cut: 'start' | 'end' = 'end'): string {
  if (cell.length <= width) return cell;
  return cut === 'start' ? `…${cell.slice(cell.length - width + 1)}` : `${cell.slice(0, width - 1)}…`;
}

/** The first twelve hexadecimal characters of a digest, as oras shows it; `--digest` takes them. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

/** A text with its digests cut to twelve characters. */
export function withShortDigests(text: string): string {
  return text.replaceAll(/(sha256:[0-9a-f]{12})[0-9a-f]{52}/g, '$1');
}

/** How long ago a time was, in its largest unit: `12s`, `5m`, `3h`, `4d`. A timestamp in the future is `0s`. */
export function ageOf(at: string, nowMs = Date.now()): string {
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(at)) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
