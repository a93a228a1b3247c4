import { join } from 'node:path';
import { parseReference, describeError } from '../../src/oci/index.js';
import { discoverTree, formatTree, toDiscoverJson } from '../../src/oras/index.js';
import { LocalApi, type LocalPromotion } from './api.js';
import { parseStartOptions } from './options.js';
import { compiledRoot } from './process.js';
import { pushLayout, userRegistries } from './push.js';
import { makeSampleImage } from './sample-image.js';
import { startStack, type Stack } from './stack.js';
import { Watcher } from './watch.js';

// `npm start`: everything up, an image pushed, its way to staging shown.

const packageRoot = join(compiledRoot(), '..');
const options = parseStartOptions(process.argv.slice(2), packageRoot);
const say = (text: string): void => void (options.json ? process.stderr : process.stdout).write(`${text}\n`);

/** What is pushed where it comes from no folder of the user's. */
const SAMPLE_REPOSITORY = 'samples/hello';
const IMAGE_REPOSITORY = 'samples/image';
/** How long the first promotion may take with --once. */
const ONCE_MS = 10 * 60_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort();
  });
}

function help(stack: Stack, api: LocalApi): void {
  const { name, password } = stack.user;
  say(`
Source registry   ${stack.source}   push anything to ${stack.source}/samples/… and see it promoted
Staging registry  ${stack.staging}
Sign in           ${options.anonymous ? 'not needed (--anonymous)' : `user ${name}, password ${password}`}
Functions host    ${stack.hostUrl}/api/health, ${stack.hostUrl}/api/promotions
Logs              ${join(options.dataDir, 'logs')}
Storage           connection string in ${join(options.dataDir, 'storage-connection-string.txt')} (queues registry-events, jobs)
Certificate       ${stack.signing.certificate}
Processes         ${stack.processes.map((each) => `${each.name} ${each.pid ?? '?'}`).join(', ')}
`);
  void api;
}

interface Summary {
  source: string;
  destination: string;
  digest: string;
  durationMs: number;
  referrers: unknown;
  certificate: string;
  publicKey: string;
  statusUrl: string;
}

/** The tree at the destination, and how to look further. */
async function summarize(stack: Stack, api: LocalApi, promotion: LocalPromotion, durationMs: number): Promise<Summary> {
  const { registry, repository, tag = 'latest' } = parseReference(promotion.destination);
  const registries = userRegistries(stack);
  try {
    const destination = registries.repository(registry, repository);
    const tree = await discoverTree(destination, await destination.resolve(tag));
    say(`\n${formatTree(tree)}`);
    const login = options.anonymous
      ? ''
      : `\n  oras login --plain-http ${registry} -u ${stack.user.name} -p ${stack.user.password}`;
    say(
      `\nLook further:${login}\n  oras discover --plain-http ${promotion.destination}\n  ${api.statusUrl(promotion.id)}`,
    );
    const { source } = promotion;
    return {
      source: `${source.registry}/${source.repository}:${source.tag}`,
      destination: promotion.destination,
      digest: tree.descriptor.digest,
      durationMs,
      referrers: toDiscoverJson(tree).referrers,
      certificate: stack.signing.certificate,
      publicKey: stack.signing.publicKey,
      statusUrl: api.statusUrl(promotion.id),
    };
  } finally {
    await registries.close();
  }
}

async function sampleImage(): Promise<string> {
  const { path, notes } = await makeSampleImage(join(options.dataDir, 'sample-image'));
  for (const note of notes) say(note);
  return path;
}

/** Pushes, and shows what comes of it. @returns the exit code */
async function demonstrate(stack: Stack, api: LocalApi): Promise<number> {
  const layout = options.image ?? (await sampleImage());
  const repository = options.image === undefined ? SAMPLE_REPOSITORY : IMAGE_REPOSITORY;
  let first: ((promotion: LocalPromotion) => void) | undefined;
  const ended = new Promise<LocalPromotion>((resolve) => (first = resolve));
  let wanted: string | undefined;
  const watcher = new Watcher(api, say, (promotion) => {
    const { source } = promotion;
    if (wanted === `${source.registry}/${source.repository}:${source.tag}`) first?.(promotion);
  });
  await watcher.skipPast();
  const registries = userRegistries(stack);
  const startedMs = Date.now();
  say(`pushing ${options.image ?? 'the sample image'} to ${stack.source}/${repository}`);
  const pushed = await pushLayout(stack, registries, layout, repository, stopping.signal);
  await registries.close();
  wanted = `${stack.source}/${repository}:${pushed.tag}`;
  say(`pushed ${wanted}@${pushed.digest}`);
  const watching = watcher.run();
  const promotion = await Promise.race([ended, aborted(stopping.signal), ...(options.once ? [deadline(ONCE_MS)] : [])]);
  if (promotion === undefined) {
    watcher.stop();
    if (!stopping.signal.aborted)
      say(`no promotion of ${wanted} has ended: does a rule match it? Look at ${stack.hostUrl}/api/runs?state=ignored`);
    return 1;
  }
  const outcome = promotion.last?.outcome ?? '';
  const good = outcome === 'promoted' || outcome === 'unchanged';
  if (good) {
    const summary = await summarize(stack, api, promotion, Date.now() - startedMs);
    if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  }
  if (!options.once) {
    say('\nEverything stays up; push with any client. Ctrl-C stops it, and starting again resumes.');
    await aborted(stopping.signal);
  }
  watcher.stop();
  await watching;
  return good ? 0 : 1;
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

function deadline(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms).unref());
}

let stack: Stack | undefined;
let code = 1;
try {
  say('starting Azurite, identity, registries and the Functions host …');
  stack = await startStack(options, process.env, say);
  const api = new LocalApi(stack.hostUrl);
  help(stack, api);
  code = await demonstrate(stack, api);
} catch (error) {
  const { code: errorCode, message, remedy } = describeError(error);
  process.stderr.write(`Error: ${errorCode}: ${message}\n${remedy === undefined ? '' : `${remedy}\n`}`);
  if (options.json) process.stdout.write(`${JSON.stringify({ error: { code: errorCode, message } })}\n`);
} finally {
  await stack?.stop();
}
process.exit(code);
