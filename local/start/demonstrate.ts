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

/** The repository for images that do not come from the user's own layout. */
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
  /** In the format of `oras discover --format json`. */
  referrers: unknown;
  certificate: string;
  publicKey: string;
  statusUrl: string;
  /** Present if the promotion did not complete. */
  error?: SerializedError & { remedy?: string };
}

interface Demonstration {
  options: StartOptions;
  terminal: Terminal;
  rules: LocalRules;
  /** Opened before anything is started; undefined: the sample image. */
  images: LayoutImages | undefined;
  stack: Stack;
  signal: AbortSignal;
  /** Called as soon as the summary is known. */
  onSummary: (summary: Summary) => void;
}

/**
 * Pushes, shows what happens and, without --once, continues to show it until `signal`.
 * @throws PromoterError `PROMOTION_UNFINISHED` with --once; whatever the push throws
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
    const shown = summaries.find(({ error }) => error !== undefined) ?? summaries[0];
    if (shown !== undefined) demonstration.onSummary(shown);
    if (!options.once) {
      terminal.say(
        '\nThe app and the registries keep running; push with any client. Ctrl-C stops them; the next npm start continues.',
      );
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
      remedy: 'Change a rule to match it, or omit --once and push an image that your rules match.',
    },
  );
}

/**
 * With --once and no matching rule, the wait would never end, so this fails before anything is started.
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

/**
 * Shows the progress of the push: one line that is overwritten on a terminal, otherwise a line for each quarter;
 * nothing if the push is immediate.
 */
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

/** The rows as last read, for those who wait for one of them. */
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

/** Waits until a promotion of the pushed image has finished; undefined if stopped before. */
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

/** A run that was open before the push counts only if it saw the pushed digest. */
function hasAnswered(
  { last, runOpen, generation, observedGeneration }: LocalPromotion,
  { digest, startedMs }: Pushed,
): boolean {
  if (last === undefined || runOpen || observedGeneration < generation) return false;
  return Date.parse(last.finishedAt) >= startedMs && (last.digest === undefined || last.digest === digest);
}

function unfinished(api: LocalApi, rows: Rows, pushed: Pushed, timeoutMs: number): PromoterError {
  const [row] = rows.of(pushed);
  const where = row === undefined ? 'it has not started' : `it is ${row.state}: ${api.statusUrl(row.id)}`;
  return new PromoterError(
    'PROMOTION_UNFINISHED',
    `the promotion of ${pushed.reference} has not ended within ${timeoutMs / 1000} s; ${where}`,
    { remedy: 'Raise --timeout SECONDS, or omit --once.' },
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
      reason: message = 'no reason given',
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
  const lines = [
    ...login,
    `oras discover --plain-http ${row.destination}`,
    `npx acr-promoter explain ${pushed.reference} --app ${stack.hostUrl}`,
    summary.statusUrl,
  ];
  terminal.say(`\n${formatTree(tree)}\n`);
  terminal.say(options.once ? 'To inspect it, run npm start without --once, then:' : 'To inspect it:');
  for (const line of lines) terminal.say(`  ${line}`);
  return { ...summary, digest: tree.descriptor.digest, referrers: toDiscoverJson(tree).referrers };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
