import { join } from 'node:path';
import { PromoterError, parseReference, type RegistryClient, type SerializedError } from '../../src/oci/index.js';
import { discoverTree, formatTree, toDiscoverJson } from '../../src/oras/index.js';
import { matchRules, type TagName } from '../../src/rules/match.js';
import { LocalApi, type LocalPromotion } from './api.js';
import type { LocalRules } from './local-rules.js';
import type { StartOptions } from './options.js';
import { openImages, pushImage, userRegistries, type LayoutImages, type Pushed } from './push.js';
import { makeSampleImage } from './sample-image.js';
import type { Stack } from './stack.js';
import type { Terminal } from './terminal.js';
import { formatShare, Watcher, isGood } from './watch.js';

/** What is pushed where it comes from no folder of the user's. */
const SAMPLE_REPOSITORY = 'samples/hello';
const SAMPLE_TAG = 'v1';
const IMAGE_REPOSITORY = 'samples/image';

/** The last line of `--json`: how the first promotion ended. */
export interface Summary {
  source: string;
  destination: string;
  digest: string;
  outcome: string;
  durationMs: number;
  /** As `oras discover --format json` has them. */
  referrers: unknown;
  certificate: string;
  publicKey: string;
  statusUrl: string;
  /** Where it has not completed. */
  error?: SerializedError & { remedy?: string };
}

interface Demonstration {
  options: StartOptions;
  terminal: Terminal;
  rules: LocalRules;
  /** Opened before anything was started; undefined: the sample image. */
  images: LayoutImages | undefined;
  stack: Stack;
  signal: AbortSignal;
  /** Called as soon as there is something to tell. */
  onSummary: (summary: Summary) => void;
}

/**
 * Pushes, shows what comes of it, and, without --once, goes on showing until `signal`.
 * @throws PromoterError `PROMOTION_UNFINISHED` with --once; whatever pushing throws
 */
export async function demonstrate(demonstration: Demonstration): Promise<void> {
  const { options, terminal, stack, signal } = demonstration;
  const api = new LocalApi(stack.hostUrl);
  const registries = userRegistries(stack);
  const rows = new Rows();
  const watcher = new Watcher({ api, terminal, source: stack.source, onRow: (row) => rows.see(row) });
  await watcher.skipPast();
  const watching = watcher.run();
  try {
    const pushed = await pushAll(demonstration, registries);
    const summaries: Summary[] = [];
    for (const image of pushed) {
      const row = await ended(demonstration, api, rows, image);
      if (row === undefined) return;
      summaries.push(await summarize(demonstration, api, registries, row, image));
    }
    const told = summaries.find(({ error }) => error !== undefined) ?? summaries[0];
    if (told !== undefined) demonstration.onSummary(told);
    if (!options.once) {
      terminal.say('\nEverything stays up; push with any client. Ctrl-C stops it, and starting again resumes.');
      await aborted(signal);
    }
  } finally {
    watcher.stop();
    await watching;
    await registries.close();
  }
}

async function pushAll(demonstration: Demonstration, registries: RegistryClient): Promise<Pushed[]> {
  const { options, terminal, stack, rules, signal } = demonstration;
  const repository = repositoryOf(demonstration.images);
  const { layout, images } = demonstration.images ?? (await sampleImages(demonstration));
  const pushed: Pushed[] = [];
  for (const image of images) {
    const unwanted = whyUnwanted(rules, { registry: stack.source, repository, tag: image.tag });
    if (unwanted !== undefined) terminal.say(unwanted.message);
    terminal.say(`pushing ${options.image ?? 'the sample image'} to ${stack.source}/${repository}:${image.tag}`);
    const progress = new PushProgress(terminal);
    const done = await pushImage(
      stack,
      registries,
      { layout, image, repository },
      { signal, onBytes: (moved, total) => progress.bytes(moved, total) },
    );
    terminal.say(`pushed ${done.reference}@${done.digest}`);
    pushed.push(done);
  }
  return pushed;
}

function repositoryOf(images: LayoutImages | undefined): string {
  return images === undefined ? SAMPLE_REPOSITORY : IMAGE_REPOSITORY;
}

function whyUnwanted({ rules }: LocalRules, name: TagName): PromoterError | undefined {
  const match = matchRules(rules, name);
  if (match.rules.length > 0) return undefined;
  const reference = `${name.registry}/${name.repository}:${name.tag}`;
  return new PromoterError(
    'NO_RULE_MATCHES',
    `no rule matches ${reference}: ${match.nearest ?? 'there are no rules'}`,
    {
      remedy: 'Write a rule that does, or leave out --once and push what your rules want.',
    },
  );
}

/**
 * Where --once would wait for a promotion that no rule starts, that is said before anything is started.
 * @throws PromoterError `NO_RULE_MATCHES`
 */
export function requireRules(rules: LocalRules, registry: string, images: LayoutImages | undefined): void {
  for (const { tag } of images?.images ?? [{ tag: SAMPLE_TAG }]) {
    const unwanted = whyUnwanted(rules, { registry, repository: repositoryOf(images), tag });
    if (unwanted !== undefined) throw unwanted;
  }
}

async function sampleImages({ options, terminal }: Demonstration): Promise<LayoutImages> {
  const { path, notes } = await makeSampleImage(join(options.dataDir, 'sample-image'));
  for (const note of notes) terminal.say(note);
  return openImages(path);
}

/** How far the push is: overwritten on a terminal, a line for each quarter elsewhere, nothing where it is done at once. */
class PushProgress {
  readonly #terminal: Terminal;
  readonly #startedMs = Date.now();
  #quarter = 0;
  #writtenMs = Date.now();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  bytes(done: number, total: number): void {
    const now = Date.now();
    if (now - this.#startedMs < 1_000) return;
    if (this.#terminal.isLive) {
      if (now - this.#writtenMs < 200) return;
      this.#writtenMs = now;
      this.#terminal.status(`  … push ${formatShare(done, total)}`);
      return;
    }
    const quarter = Math.floor((4 * done) / Math.max(total, 1));
    if (quarter <= this.#quarter) return;
    this.#quarter = quarter;
    this.#terminal.say(`  … push ${formatShare(done, total)}`);
  }
}

/** The rows as they were last seen, for who waits for one of them. */
class Rows {
  readonly #rows = new Map<string, LocalPromotion>();

  see(row: LocalPromotion): void {
    this.#rows.set(row.id, row);
  }

  of({ registry, repository, tag }: Pushed): LocalPromotion[] {
    return [...this.#rows.values()].filter(
      ({ source }) => source.registry === registry && source.repository === repository && source.tag === tag,
    );
  }
}

const LOOK_MS = 100;

/** Waits until a promotion of what was pushed has ended for it; undefined where we were stopped before. */
async function ended(
  { options, signal }: Demonstration,
  api: LocalApi,
  rows: Rows,
  pushed: Pushed,
): Promise<LocalPromotion | undefined> {
  const until = options.once ? Date.now() + options.timeoutMs : Number.POSITIVE_INFINITY;
  while (!signal.aborted) {
    const row = rows.of(pushed).find((each) => hasAnswered(each, pushed));
    if (row !== undefined) return row;
    if (Date.now() > until) throw unfinished(api, rows, pushed, options.timeoutMs);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return undefined;
}

/** A run that was under way before the push counts only if it saw what was pushed. */
function hasAnswered(
  { last, runOpen, generation, observedGeneration }: LocalPromotion,
  { digest, startedMs }: Pushed,
): boolean {
  if (last === undefined || runOpen || observedGeneration < generation) return false;
  return Date.parse(last.finishedAt) >= startedMs && (last.digest === undefined || last.digest === digest);
}

function unfinished(api: LocalApi, rows: Rows, pushed: Pushed, timeoutMs: number): PromoterError {
  const [row] = rows.of(pushed);
  const where = row === undefined ? 'there is none yet' : `it is ${row.state}: ${api.statusUrl(row.id)}`;
  return new PromoterError(
    'PROMOTION_UNFINISHED',
    `the promotion of ${pushed.reference} has not ended within ${timeoutMs / 1000} s; ${where}`,
    { remedy: 'Give it longer with --timeout SECONDS, or leave out --once.' },
  );
}

async function summarize(
  { options, terminal, stack }: Demonstration,
  api: LocalApi,
  registries: RegistryClient,
  row: LocalPromotion,
  pushed: Pushed,
): Promise<Summary> {
  const { last } = row;
  const summary: Summary = {
    source: pushed.reference,
    destination: row.destination,
    digest: pushed.digest,
    outcome: last?.outcome ?? '',
    durationMs: Date.now() - pushed.startedMs,
    referrers: [],
    certificate: stack.signing.certificate,
    publicKey: stack.signing.publicKey,
    statusUrl: api.statusUrl(row.id),
  };
  if (!isGood(row)) {
    const {
      code = (last?.outcome ?? 'failed').toUpperCase(),
      reason: message = 'no reason was given',
      remedy,
    } = last ?? {};
    return { ...summary, error: { code, message, ...(remedy !== undefined && { remedy }) } };
  }
  if (last?.outcome === 'observed') return summary;
  const { registry, repository, tag = 'latest' } = parseReference(row.destination);
  const destination = registries.repository(registry, repository);
  const tree = await discoverTree(destination, await destination.resolve(tag));
  const login = options.anonymous
    ? []
    : [`oras login --plain-http ${registry} -u ${stack.user.name} -p ${stack.user.password}`];
  const lines = [...login, `oras discover --plain-http ${row.destination}`, summary.statusUrl];
  terminal.say(`\n${formatTree(tree)}\n`);
  terminal.say(options.once ? 'Look further, after npm start without --once:' : 'Look further:');
  for (const line of lines) terminal.say(`  ${line}`);
  return { ...summary, digest: tree.descriptor.digest, referrers: toDiscoverJson(tree).referrers };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
