import type { Io } from '../io.js';
import type { Values } from '../verb.js';
import { colorsOf, type Colors } from './colors.js';
import { onTerminal } from './status-line.js';

/** Columns of a table without `--wide`, if standard output is no terminal. */
const TABLE_COLUMNS = 100;
/** Minimum characters of a cell that is cut. */
const LEAST_COLUMNS = 12;
/** References keep this many characters for as long as another column can be cut. */
const LEAST_REFERENCE_COLUMNS = 28;
const GAP = '  ';

export interface Column<T> {
  heading: string;
  text: (row: T) => string;
  /** The text with `--wide`; by default, `text` is used. */
  wideText?: (row: T) => string;
  /** Used instead of `heading` with `--wide`. */
  wideHeading?: string;
  /** True for a column that only `--wide` shows. */
  isWide?: true;
  /**
   * The end at which a cell is cut if the table is too wide; `start` is for references, which lose their registry
   * first. Without it, the column stays whole.
   */
  cut?: 'start' | 'end';
  isState?: true;
}

/** Lines of a table, the headings first. */
export function tableLines<T>(columns: readonly Column<T>[], rows: readonly T[], style: TableStyle): string[] {
  return tablePrinter(columns, style)(rows);
}

export interface TableStyle {
  wide: boolean;
  colors: Colors;
  /** Maximum characters of a line, unless `wide`. */
  columns: number;
}

export function tableStyleOf(io: Pick<Io, 'outColumns' | 'env'>, values: Values): TableStyle {
  return { wide: values.wide === true, colors: colorsOf(io), columns: io.outColumns ?? TABLE_COLUMNS };
}

/**
 * Prints a table in several parts. The first part has the headings; the later parts keep the widths of the first, so
 * that the columns stay aligned.
 */
export function tablePrinter<T>(
  columns: readonly Column<T>[],
  { wide, colors, columns: most }: TableStyle,
): (rows: readonly T[]) => string[] {
  const shown = columns.filter(({ isWide = false }) => wide || !isWide);
  const headings = shown.map(({ heading, wideHeading = heading }) => (wide ? wideHeading : heading));
  const cellsOf = (row: T): string[] =>
    shown.map(({ text, wideText = text }) => onTerminal((wide ? wideText : text)(row) || '-'));
  let widths: readonly number[] | undefined;
  return (rows) => {
    const isFirst = widths === undefined;
    const cells = [...(isFirst ? [headings] : []), ...rows.map(cellsOf)];
    widths ??= widthsOf(cells, shown, wide ? Infinity : most);
    const kept = widths;
    return cells.map((row, line) =>
      row
        .map((cell, at) => {
          const width = kept[at] ?? 0;
          const written = fit(cell, width, shown[at]?.cut, wide);
          const padding = at === row.length - 1 ? '' : ' '.repeat(Math.max(0, width - written.length));
          const isState = shown[at]?.isState === true;
          const isHeading = isFirst && line === 0;
          return `${isHeading ? colors.heading(written) : isState ? colors.state(written) : written}${padding}`;
        })
        .join(GAP),
    );
  };
}

type Cut = Column<never>['cut'];

function widthsOf(cells: readonly string[][], columns: readonly { cut?: Cut }[], most: number): number[] {
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  const room = most - GAP.length * (columns.length - 1);
  shrink(widths, columns, { room, leastReference: LEAST_REFERENCE_COLUMNS });
  shrink(widths, columns, { room, leastReference: LEAST_COLUMNS });
  return widths;
}

/** Narrows the widest column that may be cut, until the table fits or no column can be narrower. */
function shrink(
  widths: number[],
  columns: readonly { cut?: Cut }[],
  { room, leastReference }: { room: number; leastReference: number },
): void {
  for (let over = widths.reduce((sum, width) => sum + width, -room); over > 0; over -= 1) {
    const candidates = columns.map(({ cut }, at) => {
      const least = cut === 'start' ? leastReference : LEAST_COLUMNS;
      const width = widths[at] ?? 0;
      return cut === undefined || width <= least ? 0 : width;
    });
    const widest = Math.max(...candidates);
    if (widest === 0) return;
    widths[candidates.indexOf(widest)] = widest - 1;
  }
}

/** Cuts a cell. A column that is never cut, or a wide table, may have a later cell that is wider than its column. */
function fit(cell: string, width: number, cut: Cut, wide: boolean): string {
  if (cell.length <= width || cut === undefined || wide) return cell;
  if (cut === 'end') return `${cell.slice(0, width - 1)}…`;
  const withoutRegistry = `…${cell.slice(Math.max(0, cell.indexOf('/')))}`;
  return withoutRegistry.length <= width ? withoutRegistry : `…${cell.slice(cell.length - width + 1)}`;
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
