import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigurationError, type PromoterError } from '../../src/oci/index.js';
import { DEFAULT_SCHEDULE } from '../../src/settings.js';
import { takeDataFolder } from './data-folder.js';
import { innerPorts, requireFreePorts } from './free-ports.js';
import type { StartOptions } from './options.js';
import { LocalProcess, compiledRoot } from './process.js';
import { hostName, isHost, noteProcesses } from './processes-file.js';
import { signingFiles, type SigningFiles } from './signing-key.js';
import { TAKEN_SETTINGS } from './taken-settings.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Stack {
  source: string;
  staging: string;
  hostUrl: string;
  user: { name: string; password: string };
  signing: SigningFiles;
  processes: readonly LocalProcess[];
  stop(): Promise<void>;
}

interface StackCall {
  options: StartOptions;
  environment: Environment;
  /** The value of PROMOTION_RULES. */
  rules: string;
  say: (text: string) => void;
  /** Stops the start. */
  signal: AbortSignal;
  /** Called when a process is not started again. */
  onGivenUp: (error: PromoterError) => void;
}

const identityReady = z.object({
  environment: z.object({ IDENTITY_ENDPOINT: z.string(), IDENTITY_HEADER: z.string() }),
  clientId: z.string(),
  publicKeysFile: z.string(),
});

const AZURITE_ACCOUNT = 'devstoreaccount1';
/** How long the host lets running steps finish when it is stopped. The next start repeats what is cut off. */
const HOST_GRACE_MS = 2_000;

/**
 * Starts everything, one process each, dependencies first.
 * @throws ConfigurationError `DATA_DIR_IN_USE`, `DATA_DIR_UNUSABLE`, `PORT_IN_USE`; PromoterError with the code that a
 * process reported, or `PROCESS_FAILED`
 */
export async function startStack(call: StackCall): Promise<Stack> {
  const { options, environment, signal } = call;
  const { dataDir } = options;
  const folder = await takeDataFolder(dataDir, call.say);
  const processes: LocalProcess[] = [];
  const stop = async (): Promise<void> => {
    // Hosts first, because they use all the others.
    const [host, others] = [processes.filter(isHost), processes.filter((each) => !isHost(each))];
    await Promise.all(host.map((each) => each.stop()));
    await Promise.all(others.map((each) => each.stop()));
    await folder.release();
  };
  const start: Start = (name, script, args, env = {}) => {
    signal.throwIfAborted();
    const each = new LocalProcess({
      name,
      script,
      args,
      env: { ...inherited(environment), ...env },
      cwd: options.app,
      dataDir,
      onStart: () => noteProcesses(dataDir, processes),
      onEnd: call.say,
      onGivenUp: call.onGivenUp,
    });
    processes.push(each);
    return each.start();
  };
  const stopEarly = (): void => void stop();
  try {
    signal.addEventListener('abort', stopEarly, { once: true });
    return { ...(await startAll(call, start)), processes, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', stopEarly);
  }
}

async function startAll(
  { options, environment, rules }: StackCall,
  start: Start,
): Promise<Omit<Stack, 'processes' | 'stop'>> {
  const { dataDir } = options;
  await requireFreePorts([
    { port: options.port, what: 'Functions host', option: '--port' },
    { port: options.sourcePort, what: 'source registry', option: '--source-port' },
    { port: options.stagingPort, what: 'staging registry', option: '--staging-port' },
  ]);
  const ports = await innerPorts(dataDir);
  const own = await signingFiles(dataDir);
  const certificate = environment.SIGNING_CERTIFICATE_CHAIN ?? own.certificate;
  const signing = { ...own, certificate };
  const user = await localUser(dataDir);
  // The registries need the identity endpoint's keys. Only the host needs Azurite.
  const [storage, identity] = await Promise.all([
    startAzurite(start, dataDir, ports),
    startIdentity(start, dataDir, ports.identity).then(async (ready) => {
      await startRegistries(start, options, ready.publicKeysFile);
      return ready;
    }),
  ]);
  const source = `localhost:${options.sourcePort}`;
  const staging = `localhost:${options.stagingPort}`;
  const hostArgs = (port: number, index: number): string[] => [
    '--app',
    options.app,
    '--port',
    String(port),
    '--data-dir',
    join(dataDir, 'host'),
    '--grace-ms',
    String(HOST_GRACE_MS),
    ...(options.visibilityMs === undefined ? [] : ['--visibility-ms', String(options.visibilityMs)]),
    ...(options.functionTimeoutMs === undefined ? [] : ['--function-timeout-ms', String(options.functionTimeoutMs)]),
    ...(options.chaos === undefined ? [] : ['--chaos', String(options.chaos + index)]),
    ...(options.lies === undefined ? [] : ['--lies', options.lies]),
  ];
  const hostEnvironment = {
    ...identity.environment,
    AZURE_CLIENT_ID: identity.clientId,
    AzureWebJobsStorage: storage,
    FUNCTIONS_WORKER_RUNTIME: 'node',
    PROMOTION_RULES: rules,
    PROMOTION_SCHEDULE: environment.PROMOTION_SCHEDULE ?? DEFAULT_SCHEDULE,
    // The user's own rules may use other registries.
    ALLOWED_REGISTRIES: [source, staging, ...(environment.ALLOWED_REGISTRIES?.split(',') ?? [])].join(','),
    // A user who sets a key must also set its certificate. One without the other is an error.
    ...(environment.SIGNING_KEY === undefined && { SIGNING_KEY: own.key }),
    SIGNING_CERTIFICATE_CHAIN: certificate,
    ...given(environment, TAKEN_SETTINGS),
  };
  const hostScript = join(compiledRoot(), 'local/host/main.js');
  await start(hostName(0), hostScript, hostArgs(options.port, 0), hostEnvironment);
  await requireLoaded(`http://localhost:${options.port}`);
  // Further hosts use the same store, like instances of one app. Nobody needs to know their ports.
  const more = Array.from({ length: options.hosts - 1 }, (_, index) => index + 1);
  await Promise.all(more.map((index) => start(hostName(index), hostScript, hostArgs(0, index), hostEnvironment)));
  return { source, staging, hostUrl: `http://localhost:${options.port}`, user, signing };
}

const statusSchema = z.object({
  problems: z.array(z.object({ code: z.string(), message: z.string(), setting: z.string().default('') })),
});

/**
 * The app serves `health` and `status` even if it could not load.
 * @throws ConfigurationError with the first problem's code
 */
async function requireLoaded(hostUrl: string): Promise<void> {
  const health = await fetch(`${hostUrl}/api/health`);
  await health.body?.cancel();
  if (health.status !== 503) return;
  const { problems } = statusSchema.parse(await (await fetch(`${hostUrl}/api/status`)).json());
  throw new ConfigurationError(
    problems[0]?.code ?? 'APP_NOT_LOADED',
    problems.map(({ setting, message }) => `${setting}: ${message}`).join('; '),
    {
      remedy: 'Correct this setting; docs/reference/settings.md lists all settings.',
    },
  );
}

/** Only what a process needs from our environment: settings of a deployed app must not leak in. */
function inherited(environment: Environment): Record<string, string> {
  const names = [
    'PATH',
    'HOME',
    'TMPDIR',
    'TEMP',
    'LANG',
    'SystemRoot',
    'NODE_EXTRA_CA_CERTS',
    'NODE_OPTIONS',
    'HTTPS_PROXY',
    'NO_PROXY',
  ];
  return given(environment, names);
}

function given(environment: Environment, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
}

type Start = (name: string, script: string, args: readonly string[], env?: Record<string, string>) => Promise<unknown>;

async function startAzurite(
  start: Start,
  dataDir: string,
  ports: { blob: number; queue: number; table: number },
): Promise<string> {
  const script = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  const key = await azuriteKey(dataDir);
  const args = [
    '--location',
    join(dataDir, 'azurite'),
    ...['blob', 'queue', 'table'].flatMap((service) => [`--${service}Host`, '127.0.0.1']),
    '--blobPort',
    String(ports.blob),
    '--queuePort',
    String(ports.queue),
    '--tablePort',
    String(ports.table),
    '--skipApiVersionCheck',
    '--disableTelemetry',
    // Azurite would log each request, and the queues are polled twice a second.
    '--silent',
  ];
  await start('azurite', script, args, { AZURITE_ACCOUNTS: `${AZURITE_ACCOUNT}:${key}` });
  const endpoint = (port: number): string => `http://127.0.0.1:${port}/${AZURITE_ACCOUNT}`;
  const connection = [
    'DefaultEndpointsProtocol=http',
    `AccountName=${AZURITE_ACCOUNT}`,
    `AccountKey=${key}`,
    `BlobEndpoint=${endpoint(ports.blob)}`,
    `QueueEndpoint=${endpoint(ports.queue)}`,
    `TableEndpoint=${endpoint(ports.table)}`,
  ].join(';');
  await writeFile(join(dataDir, 'storage-connection-string.txt'), `${connection}\n`, { mode: 0o600 });
  return connection;
}

/**
 * Created at the first start. Not Azurite's well-known key: with that, any web page could sign a message for the job
 * queue.
 */
async function azuriteKey(dataDir: string): Promise<string> {
  const file = join(dataDir, 'azurite-key.txt');
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept !== undefined) return kept.trim();
  const key = randomBytes(64).toString('base64');
  await writeFile(file, key, { mode: 0o600 });
  return key;
}

async function startRegistries(start: Start, options: StartOptions, publicKeysFile: string): Promise<void> {
  const { dataDir } = options;
  const registry = (name: string, port: number, quirks: readonly string[] = []): Promise<unknown> =>
    start(`registry-${name}`, join(compiledRoot(), 'local/registry/main.js'), [
      '--port',
      String(port),
      '--data-dir',
      join(dataDir, `registry-${name}`),
      '--name',
      `localhost:${port}`,
      '--users-file',
      join(dataDir, USERS_FILE),
      '--entra-keys',
      publicKeysFile,
      '--events-url',
      `http://localhost:${options.port}`,
      ...(options.anonymous ? ['--anonymous'] : []),
      ...quirks.flatMap((quirk) => ['--quirk', quirk]),
    ]);
  const { sourcePort, sourceQuirks } = options;
  await Promise.all([registry('source', sourcePort, sourceQuirks), registry('staging', options.stagingPort)]);
}

async function startIdentity(start: Start, dataDir: string, port: number): Promise<z.infer<typeof identityReady>> {
  const script = join(compiledRoot(), 'local/identity/main.js');
  // The same port after a restart, because the host has its address.
  const args = ['--data-dir', join(dataDir, 'identity'), '--port', String(port)];
  return identityReady.parse(await start('identity', script, args));
}

const USERS_FILE = 'users.json';
const usersSchema = z.array(z.object({ name: z.string(), password: z.string() })).min(1);

/** The user for clients to sign in with, created at the first start. @throws ConfigurationError `USERS_INVALID` */
async function localUser(dataDir: string): Promise<{ name: string; password: string }> {
  const file = join(dataDir, USERS_FILE);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) {
    const made = { name: 'admin', password: randomBytes(12).toString('base64url') };
    await writeFile(file, JSON.stringify([made]), { mode: 0o600 });
    return made;
  }
  try {
    const [user] = usersSchema.parse(JSON.parse(text));
    if (user !== undefined) return user;
  } catch {
    // Reported below.
  }
  throw new ConfigurationError('USERS_INVALID', `${file} cannot be read`, {
    remedy: 'Correct it ([{"name": …, "password": …}]), or delete it: the next start creates a user.',
  });
}
