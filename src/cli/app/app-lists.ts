import type { Command } from 'commander';
import { parseCount } from '../option-values.js';
import type { Io } from '../io.js';
import { textOf, writtenOf, type Values } from '../verb.js';
import { askApp, type App } from './jobs-app.js';

/** Filters that a list takes: the option's name, its value in the help, what it means. */
export type Filters = readonly (readonly [name: string, value: string, meaning: string])[];

const MOST_REQUESTS = 100;
const PAGE_ROWS = 100;

export function addListOptions(command: Command, filters: Filters): void {
  for (const [name, value, meaning] of filters) command.option(`--${name} <${value}>`, meaning);
  command.option('--limit <n>', 'maximum rows', '50');
}

/**
 * Asks for a list page by page, until there are as many as `--limit` says, or no more.
 * @param read the items of a page and where the next one starts
 * @returns the items, and whether there are more
 */
export async function askList<T>(
  { app, path, filters, values, io }: { app: App; path: string; filters: Filters; values: Values; io: Io },
  read: (answer: unknown) => { items: T[]; next?: string | undefined },
): Promise<{ items: T[]; more: boolean }> {
  const limit = parseCount(writtenOf(values, 'limit') ?? '50', '--limit', 1);
  const query = new URLSearchParams();
  for (const [name] of filters) {
    const value = textOf(values, name);
    if (value !== undefined) query.set(name, value);
  }
  const items: T[] = [];
  let next: string | undefined;
  for (let requests = 0; requests < MOST_REQUESTS; requests += 1) {
    query.set('size', String(Math.min(limit - items.length, PAGE_ROWS)));
    if (next !== undefined) query.set('from', next);
    const page = read(await askApp(app, `${path}?${query.toString()}`, io));
    items.push(...page.items);
    next = page.next;
    if (next === undefined || items.length >= limit) break;
  }
  return { items, more: next !== undefined };
}

/** Said where a list is not all there is. */
export function tellMore(more: boolean, io: Io): void {
  if (more) io.err('More results: raise --limit.\n');
}
