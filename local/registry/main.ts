import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { RegistryOptions, User } from './options.js';
import { parseQuirks } from './quirks.js';
import { startRegistry } from './server.js';

const USAGE = `Usage: node dist/local/registry/main.js --data-dir FOLDER [options]
  --port N               port (0: any free one)          --host ADDRESS         127.0.0.1 by default
  --name NAME            login server's name             --users USER:PASSWORD  may be repeated
  --users-file FILE      JSON: [{"name","password","grants":[{"repository","actions"}]}]
  --entra-keys FILE      public keys of the identity endpoint
  --anonymous            no token is required            --anonymous-pull       everybody may pull
  --events-url URL       receiver of push events         --event-schema eventgrid|cloudevents
  --access-token-seconds N   --refresh-token-seconds N   --sparse
  --tls-cert FILE --tls-key FILE                         --quirk NAME[=VALUE]   may be repeated
`;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string' },
    'data-dir': { type: 'string' },
    name: { type: 'string' },
    users: { type: 'string', multiple: true },
    'users-file': { type: 'string' },
    'entra-keys': { type: 'string' },
    anonymous: { type: 'boolean' },
    'anonymous-pull': { type: 'boolean' },
    'events-url': { type: 'string' },
    'event-schema': { type: 'string' },
    'access-token-seconds': { type: 'string' },
    'refresh-token-seconds': { type: 'string' },
    sparse: { type: 'boolean' },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    quirk: { type: 'string', multiple: true },
    help: { type: 'boolean' },
  },
});

const USERS = z.array(
  z.strictObject({
    name: z.string().min(1),
    password: z.string().min(1),
    grants: z.array(z.strictObject({ repository: z.string(), actions: z.array(z.string()) })).optional(),
  }),
);

function userOf({ grants, ...user }: z.infer<typeof USERS>[number]): User {
  return { ...user, ...(grants !== undefined && { grants }) };
}

function users(): User[] {
  const named = (values.users ?? []).map((text): User => {
    const colon = text.indexOf(':');
    return { name: text.slice(0, colon), password: text.slice(colon + 1) };
  });
  const file = values['users-file'];
  return file === undefined ? named : [...named, ...USERS.parse(JSON.parse(readFileSync(file, 'utf8'))).map(userOf)];
}

function seconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

function options(dataDir: string): RegistryOptions {
  const access = seconds(values['access-token-seconds']);
  const refresh = seconds(values['refresh-token-seconds']);
  const { host, name, anonymous, sparse } = values;
  const keys = values['entra-keys'];
  const eventsUrl = values['events-url'];
  const { 'tls-cert': cert, 'tls-key': key } = values;
  return {
    dataDir,
    port: Number(values.port),
    users: users(),
    quirks: parseQuirks(values.quirk ?? []),
    eventSchema: values['event-schema'] === 'cloudevents' ? 'cloudevents' : 'eventgrid',
    anonymousPull: values['anonymous-pull'] === true,
    ...(host !== undefined && { host }),
    ...(name !== undefined && { name }),
    ...(anonymous !== undefined && { anonymous }),
    ...(sparse !== undefined && { sparse }),
    ...(keys !== undefined && { entraKeysFile: keys }),
    ...(eventsUrl !== undefined && { eventsUrl }),
    ...(access !== undefined && { accessTokenSeconds: access }),
    ...(refresh !== undefined && { refreshTokenSeconds: refresh }),
    ...(cert !== undefined &&
      key !== undefined && { tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') } }),
  };
}

const dataDir = values['data-dir'];
if (values.help === true || dataDir === undefined) {
  process.stderr.write(USAGE);
  process.exit(values.help === true ? 0 : 2);
}
try {
  const registry = await startRegistry(options(dataDir));
  const { url, host, port, name, logFile } = registry;
  process.stdout.write(`${JSON.stringify({ ready: true, url, host, port, name, logFile, pid: process.pid })}\n`);
  const stop = (): void => void registry.close().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  process.stderr.write(`local/registry: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
