import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  basicCredentials,
  ConfigurationError,
  createRegistries,
  InputError,
  isLoopback,
  type Credentials,
  type Lease,
  type RegistriesOptions,
  type RegistryClient,
} from '../../oci/index.js';
import { readCa, readClientCertificate } from './certificates.js';
import { offerValues } from '../completion/complete.js';
import { keptCredentials } from './docker-config.js';
import { refuseTogether } from '../errors.js';
import { parseAddresses } from './host-addresses.js';
import type { Io } from '../io.js';
import { createLockFileLease } from '../locks/lock-file-lease.js';
import { proxyFor } from './proxy.js';
import { collect, listOf } from '../repeated.js';
import { parseHeaders } from './request-headers.js';
import type { SignIns } from './sign-ins.js';

/** The side of a command to which an option belongs. */
export type Side = '' | 'from' | 'to';

const TEXTS = ['username', 'password', 'identityToken', 'caFile', 'certFile', 'keyFile', 'distributionSpec'] as const;
const FLAGS = ['passwordStdin', 'identityTokenStdin', 'plainHttp', 'insecure'] as const;
const LISTS = ['registryConfig', 'header', 'resolve'] as const;

/** How to reach a registry, from the options. `header`: `Name: value`; `resolve`: `host:port:address[:port]`. */
export type ConnectionOptions = { [K in (typeof TEXTS)[number]]?: string } & {
  [K in (typeof FLAGS)[number]]?: boolean;
} & { [K in (typeof LISTS)[number]]?: string[] } & { debug?: true };

const SPECS = ['v1.1-referrers-api', 'v1.1-referrers-tag'] as const;

/** The longest Retry-After that a command waits. ACR asks for up to a minute. */
const MAX_RETRY_AFTER_MS = 120_000;

/** Adds the options for one side: `--from-…` and `--to-…` if a command has two. */
export function addConnectionOptions(command: Command, side: Side): Command {
  const long = (name: string): string => `--${side === '' ? '' : `${side}-`}${name}`;
  const short = (letter: string, name: string): string => (side === '' ? `-${letter}, ${long(name)}` : long(name));
  const of = { '': 'registry', from: 'source registry', to: 'destination registry' }[side];
  command
    .option(`${short('u', 'username')} <name>`, `user name for the ${of}`)
    .option(`${short('p', 'password')} <secret>`, `password or identity token for the ${of}; standard input is safer`);
  command.option(long('password-stdin'), `read the password for the ${of} from standard input`);
  command
    .option(`${long('identity-token')} <token>`, `identity token for the ${of}; standard input is safer`)
    .option(long('identity-token-stdin'), `read the identity token for the ${of} from standard input`)
    .option(long('plain-http'), `plain HTTP to the ${of} (by default for localhost and loopback addresses)`)
    .option(long('plain-http').replace(/^--/, '--no-'), `HTTPS to the ${of}, also for localhost and loopback addresses`)
    .option(long('insecure'), `do not verify the certificate of the ${of}`)
    .option(`${long('ca-file')} <path>`, `certificate authority of the ${of}, PEM`)
    .option(
      `${long('cert-file')} <path>`,
      `client certificate for the ${of}, PEM; needs --${side === '' ? '' : `${side}-`}key-file`,
    )
    .option(`${long('key-file')} <path>`, 'key of the client certificate, PEM')
    .option(`${short('H', 'header')} <name:value>`, `HTTP header that is sent only to the ${of}; repeatable`, collect)
    .option(
      `${long('resolve')} <host:port:address[:port]>`,
      `connect to this IP address instead of resolving host:port of the ${of}; repeatable`,
      collect,
    )
    .option(
      `${long('registry-config')} <path>`,
      `Docker config with the credentials for the ${of}; repeatable; later files are used when earlier ones have no entry`,
      collect,
    )
    .option(
      `${long('distribution-spec')} <option>`,
      `how the ${of} stores referrers: ${SPECS.join(' or ')} (default: detected)`,
    );
  offerValues(command, long('distribution-spec'), SPECS);
  return command;
}

/** Adds the options for all connections of a command. */
export function addDebugOption(command: Command): Command {
  return command.option('-d, --debug', 'log requests and responses to standard error, without secrets');
}

/** The options of one side. */
export function connectionOf(values: Record<string, unknown>, side: Side): ConnectionOptions {
  const of = (name: string): unknown =>
    values[side === '' ? name : `${side}${name.charAt(0).toUpperCase()}${name.slice(1)}`];
  const options: ConnectionOptions = values.debug === true ? { debug: true } : {};
  for (const name of TEXTS) {
    const value = of(name);
    // An empty value counts as not given, as in Go's tools; an empty --distribution-spec is an error.
    if (typeof value === 'string' && (value !== '' || name === 'distributionSpec')) options[name] = value;
  }
  for (const name of FLAGS) {
    const value = of(name);
    if (typeof value === 'boolean') options[name] = value;
  }
  for (const name of LISTS) {
    // `--resolve` applies to both sides, before `--from-resolve` and `--to-resolve`.
    const entries = [...(name === 'resolve' && side !== '' ? listOf(values.resolve) : []), ...listOf(of(name))];
    if (entries.length > 0) options[name] = entries;
  }
  return options;
}

/**
 * The password or token that the options give, or standard input.
 * @throws InputError `OPTIONS_EXCLUSIVE`, `CREDENTIAL_MISSING`
 */
export async function readSecret(options: ConnectionOptions, io: Io): Promise<string | undefined> {
  refuseTogether(options, 'password', 'passwordStdin');
  refuseTogether(options, 'identityToken', 'identityTokenStdin', 'username', 'password', 'passwordStdin');
  refuseTogether(options, 'identityTokenStdin', 'username', 'password', 'passwordStdin');
  const { username, password, passwordStdin, identityToken, identityTokenStdin } = options;
  if (passwordStdin !== true && identityTokenStdin !== true) return identityToken ?? password;
  const secret = (await io.readInput()).replace(/\r?\n$/, '');
  if (secret !== '') return secret;
  const what = username === undefined ? 'token' : 'password';
  throw new InputError('CREDENTIAL_MISSING', `${what} required: standard input is empty`);
}

async function credentialsFor(
  registry: string,
  options: ConnectionOptions,
  io: Io,
  signIns: SignIns | undefined,
): Promise<Credentials> {
  const { username = '', plainHttp, insecure } = options;
  const secret = await readSecret(options, io);
  if (secret !== undefined) {
    // A password without a user is an identity token.
    if (username === '') return { get: () => Promise.resolve({ kind: 'refreshToken', refreshToken: secret }) };
    return basicCredentials(username, secret, [registry]);
  }
  const kept = keptCredentials(options, io);
  // An Azure token is valid for all registries of the account, so it is sent only to hosts whose TLS name is verified.
  const isUnproven = (plainHttp === true && !isLoopback(registry)) || insecure === true;
  const [config] = options.registryConfig ?? [];
  return signIns === undefined
    ? kept
    : signIns.after(registry, kept, { azure: !isUnproven, ...(config !== undefined && { config }) });
}

/** @throws ConfigurationError `OPTION_INVALID` */
export function parseDistributionSpec(text: string): (typeof SPECS)[number] {
  const found = SPECS.find((spec) => spec === text);
  if (found !== undefined) return found;
  throw new ConfigurationError('OPTION_INVALID', `${JSON.stringify(text)} is not a value of --distribution-spec`, {
    remedy: `Give ${SPECS.join(' or ')}.`,
  });
}

function referrersMode(spec: string | undefined): Pick<RegistriesOptions, 'referrers'> {
  if (spec === undefined) return {};
  return { referrers: parseDistributionSpec(spec) === 'v1.1-referrers-tag' ? 'tag' : 'api' };
}

/** Leases between the processes of one user on this machine. */
export function createLocalLease(): Lease {
  return createLockFileLease(join(tmpdir(), `acr-promoter-locks-${process.getuid?.() ?? 0}`));
}

/**
 * A client for one registry. The caller closes it.
 * @param signIns signs in to Azure for Azure Container Registries that have no stored credential
 */
export async function connect(
  registry: string,
  options: ConnectionOptions,
  io: Io,
  signIns?: SignIns,
): Promise<RegistryClient> {
  const { plainHttp, insecure, caFile, certFile, keyFile, header = [], resolve = [], debug } = options;
  const clientCertificate = await readClientCertificate(certFile, keyFile);
  const proxy = proxyFor(registry, io.env);
  return createRegistries({
    credentials: await credentialsFor(registry, options, io, signIns),
    lease: createLocalLease(),
    retry: { maxRetryAfterMs: MAX_RETRY_AFTER_MS },
    ...(plainHttp !== undefined && { plainHttp: () => plainHttp }),
    ...(insecure === true && { insecure }),
    ...(caFile !== undefined && { ca: await readCa(caFile) }),
    ...(clientCertificate !== undefined && { clientCertificate }),
    ...(header.length > 0 && { headers: parseHeaders(header) }),
    ...(resolve.length > 0 && { addresses: parseAddresses(resolve) }),
    ...(debug === true && { trace: (entry: string) => io.err(entry) }),
    ...(proxy !== undefined && { proxy }),
    ...referrersMode(options.distributionSpec),
  });
}
