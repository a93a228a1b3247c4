import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { DEFAULT_SCHEDULE } from '../../src/settings.js';
import { azuritePorts, requireFreePort } from './free-ports.js';
import type { StartOptions } from './options.js';
import { LocalProcess, compiledRoot } from './process.js';
import { signingFiles, type SigningFiles } from './signing-key.js';

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

const identityReady = z.object({
  environment: z.object({ IDENTITY_ENDPOINT: z.string(), IDENTITY_HEADER: z.string() }),
  clientId: z.string(),
  publicKeysFile: z.string(),
});

/** Azurite's well-known account: not a secret, and good for nothing but Azurite. */
const AZURITE_ACCOUNT = 'devstoreaccount1';
const AZURITE_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Brings everything up, one process each. What starts first is what the next one needs.
 * @throws ConfigurationError `PORT_IN_USE`; PromoterError `PROCESS_FAILED`
 */
export async function startStack(
  options: StartOptions,
  environment: Environment,
  say: (text: string) => void,
): Promise<Stack> {
  const { dataDir } = options;
  await mkdir(dataDir, { recursive: true });
  await requireFreePort(options.port, 'Functions host', '--port');
  await requireFreePort(options.sourcePort, 'source registry', '--source-port');
  await requireFreePort(options.stagingPort, 'staging registry', '--staging-port');
  const processes: LocalProcess[] = [];
  const stop = async (): Promise<void> => {
    // The host first: it works with all the others.
    for (const each of processes.toReversed()) await each.stop();
  };
  const start = (
    name: string,
    script: string,
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<unknown> => {
    const each = new LocalProcess({
      name,
      script,
      args,
      env: { ...inherited(environment), ...env },
      cwd: options.app,
      logDir: join(dataDir, 'logs'),
      onStart: () => writeFileSync(join(dataDir, 'processes.json'), processIds(processes)),
      onEnd: say,
    });
    processes.push(each);
    return each.start();
  };
  try {
    const signing = await signingFiles(dataDir);
    const user = await localUser(dataDir);
    const [storage, identity] = await Promise.all([startAzurite(start, dataDir), startIdentity(start, dataDir)]);
    const registry = (name: string, port: number): Promise<unknown> =>
      start(`registry-${name}`, join(compiledRoot(), 'local/registry/main.js'), [
        '--port',
        String(port),
        '--data-dir',
        join(dataDir, `registry-${name}`),
        '--name',
        `localhost:${port}`,
        '--users-file',
        join(dataDir, 'users.json'),
        '--entra-keys',
        identity.publicKeysFile,
        '--events-url',
        `http://localhost:${options.port}`,
        ...(options.anonymous ? ['--anonymous'] : []),
      ]);
    await Promise.all([registry('source', options.sourcePort), registry('staging', options.stagingPort)]);
    const source = `localhost:${options.sourcePort}`;
    const staging = `localhost:${options.stagingPort}`;
    await start(
      'host',
      join(compiledRoot(), 'local/host/main.js'),
      ['--app', options.app, '--port', String(options.port), '--data-dir', join(dataDir, 'host')],
      {
        ...identity.environment,
        AZURE_CLIENT_ID: identity.clientId,
        AzureWebJobsStorage: storage,
        FUNCTIONS_WORKER_RUNTIME: 'node',
        PROMOTION_RULES: options.rules ?? JSON.stringify(localRules(source, staging)),
        PROMOTION_SCHEDULE: environment.PROMOTION_SCHEDULE ?? DEFAULT_SCHEDULE,
        ALLOWED_REGISTRIES: `${source},${staging}`,
        SIGNING_KEY: signing.key,
        SIGNING_CERTIFICATE_CHAIN: signing.certificate,
      },
    );
    return { source, staging, hostUrl: `http://localhost:${options.port}`, user, signing, processes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Which process is which, for who wants to kill one alone. */
function processIds(processes: readonly LocalProcess[]): string {
  return JSON.stringify(Object.fromEntries(processes.map(({ name, pid }) => [name, pid])));
}

/** What a process needs of our own environment, and no more: settings of a deployed app must not leak in. */
function inherited(environment: Environment): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'LANG', 'SystemRoot', 'NODE_EXTRA_CA_CERTS'];
  return Object.fromEntries(
    names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  );
}

type Start = (name: string, script: string, args: readonly string[], env?: Record<string, string>) => Promise<unknown>;

async function startAzurite(start: Start, dataDir: string): Promise<string> {
  const ports = await azuritePorts(dataDir);
  const script = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  await start('azurite', script, [
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
  ]);
  const endpoint = (port: number): string => `http://127.0.0.1:${port}/${AZURITE_ACCOUNT}`;
  const connection = [
    'DefaultEndpointsProtocol=http',
    `AccountName=${AZURITE_ACCOUNT}`,
    `AccountKey=${AZURITE_KEY}`,
    `BlobEndpoint=${endpoint(ports.blob)}`,
    `QueueEndpoint=${endpoint(ports.queue)}`,
    `TableEndpoint=${endpoint(ports.table)}`,
  ].join(';');
  await writeFile(join(dataDir, 'storage-connection-string.txt'), `${connection}\n`);
  return connection;
}

async function startIdentity(start: Start, dataDir: string): Promise<z.infer<typeof identityReady>> {
  const script = join(compiledRoot(), 'local/identity/main.js');
  return identityReady.parse(await start('identity', script, ['--data-dir', join(dataDir, 'identity')]));
}

const usersSchema = z.array(z.object({ name: z.string(), password: z.string() })).min(1);

/** The user that clients sign in with, made at the first start. */
async function localUser(dataDir: string): Promise<{ name: string; password: string }> {
  const file = join(dataDir, 'users.json');
  const kept = await readFile(file, 'utf8').then(
    (text) => usersSchema.safeParse(JSON.parse(text)).data?.[0],
    () => undefined,
  );
  if (kept !== undefined) return kept;
  const user = { name: 'admin', password: randomBytes(12).toString('base64url') };
  await writeFile(file, JSON.stringify([user]), { mode: 0o600 });
  return user;
}

function localRules(source: string, staging: string): unknown {
  return {
    rules: [
      {
        name: 'local',
        existing: 'promote',
        source: { registry: source, repositories: ['samples/**'] },
        destination: { reference: `${staging}/staging/{repository}:{tag}` },
      },
    ],
  };
}
