import { setTimeout as sleep } from 'node:timers/promises';
import { formatResult } from '../output/result.js';
import { tablePrinter, tableStyleOf, type Column } from '../output/table.js';
import { Option, type Command } from 'commander';
import { parseCount } from '../option-values.js';
import { textOf, writtenOf, type Values } from '../verb.js';
import type { AppCall } from './app-verb.js';
import { askApp } from './ask-app.js';

/** Filters that a list takes: the option's name, its value in the help, what it means. */
export type Filters = readonly (readonly [name: string, value: string, meaning: string])[];

/** Filters that every list of promotions and runs takes. */
export const NAME_FILTERS: Filters = [
  ['rule', 'name', 'only this rule, or a glob (st*)'],
  [
    'repository',
    'name',
    'only this source repository, with or without its registry, a prefix (samples/) or a glob (**/app)',
  ],
  ['tag', 'tag', 'only this source tag, or a glob (v1.*)'],
];
export const SINCE_FILTER: Filters[number] = [
  'since',
  'time',
  'only since this time: 30m, 24h, 7d ago, or 2026-11-30T10:00Z',
];

const MOST_REQUESTS = 100;
const PAGE_ROWS = 100;
/** The pause between two requests of `--watch`, in milliseconds. */
const WATCH_MS = 2_000;

export function addListOptions(command: Command, filters: Filters): void {
  for (const [name, value, meaning] of filters) command.option(`--${name} <${value}>`, meaning);
  command
    .addOption(new Option('--limit <n>', 'maximum rows').default('50', '50'))
    .option('--wide', 'all columns, with full digests and times; may be wider than the terminal')
    .option('--watch', 'print rows again when they change, until Ctrl-C');
}

/** A list of the app, and how it is printed. */
export interface ListView<T> {
  path: string;
  /** Query parameters in addition to the filters. */
  query?: Readonly<Record<string, string>>;
  filters: Filters;
  /** The name of the items in JSON: `promotions`. */
  name: string;
  /** The name of the items in sentences. Default: `name`. */
  plural?: string;
  read: (answer: unknown) => { items: T[]; next?: string | undefined };
  idOf: (item: T) => string;
  columns: readonly Column<T>[];
}

/** Requests pages until there are `--limit` items or no further page. */
async function askList<T>({ app, values, io }: AppCall, view: ListView<T>): Promise<{ items: T[]; more: boolean }> {
  const limit = parseCount(writtenOf(values, 'limit') ?? '50', '--limit', 1);
  const query = new URLSearchParams({ ...view.query, ...filtersIn(values, view.filters) });
  const items: T[] = [];
  let next: string | undefined;
  for (let requests = 0; requests < MOST_REQUESTS; requests += 1) {
    query.set('size', String(Math.min(limit - items.length, PAGE_ROWS)));
    if (next !== undefined) query.set('from', next);
    const page = view.read(await askApp(app, `${view.path}?${query.toString()}`, io));
    items.push(...page.items);
    next = page.next;
    if (next === undefined || items.length >= limit) break;
  }
  return { items, more: next !== undefined };
}

function filtersIn(values: Values, filters: Filters): Record<string, string> {
  return Object.fromEntries(
    filters.flatMap(([name]) => {
      const value = textOf(values, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Prints a list. With `--watch`, prints what has changed until the command is interrupted. */
export async function showList<T>(call: AppCall, view: ListView<T>): Promise<void> {
  const { format, values, io } = call;
  const print = tablePrinter(view.columns, tableStyleOf(io, values));
  let before = new Map<string, string>();
  for (let isFirst = true; ; isFirst = false) {
    const { items, more } = await askList(call, view);
    const now = new Map(items.map((item) => [view.idOf(item), JSON.stringify(item)]));
    const changed = items.filter((item) => before.get(view.idOf(item)) !== now.get(view.idOf(item)));
    before = now;
    if (format.kind !== 'text') {
      if (isFirst || changed.length > 0) io.out(formatResult(format, { [view.name]: changed }));
    } else {
      // The first rows decide the widths, so an empty list prints no headings.
      if (changed.length > 0) io.out(`${print(changed).join('\n')}\n`);
      if (isFirst && items.length === 0) io.err(`${noneText(call, view)}\n`);
    }
    if (values.watch !== true) {
      if (more) io.err('More results: raise --limit.\n');
      return;
    }
    await sleep(WATCH_MS, undefined, { signal: io.signal });
  }
}

function noneText<T>({ values }: AppCall, { name, plural = name, filters }: ListView<T>): string {
  const asked = Object.entries(filtersIn(values, filters)).map(([filter, value]) => `--${filter} ${value}`);
  return asked.length === 0 ? `There are no ${plural}.` : `No ${plural} match ${asked.join(' ')}.`;
}
