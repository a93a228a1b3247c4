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
import { parseAddresses } from './host-addresses.js';
import type { Io } from '../io.js';
import { createLockFileLease } from '../locks/lock-file-lease.js';
import { proxyFor } from './proxy.js';
import { collect, listOf } from '../repeated.js';
import { parseHeaders } from './request-headers.js';
import type { SignIns } from './sign-ins.js';

/** The side of a command to which an option belongs. */
export type Side = '' | 'from' | 'to';

/** How to reach a registry, from the options. */
export interface ConnectionOptions {
  username?: string;
  password?: string;
  passwordStdin?: boolean;
  identityToken?: string;
  identityTokenStdin?: boolean;
  plainHttp?: boolean;
  insecure?: boolean;
  caFile?: string;
  certFile?: string;
  keyFile?: string;
  /** `Name: value` */
  header?: string[];
  /** `host:port:address[:port]` */
  resolve?: string[];
  debug?: boolean;
  /** Paths of files. */
  registryConfig?: string[];
  distributionSpec?: string;
}

type ReferrersMode = NonNullable<RegistriesOptions['referrers']>;

const SPECS: Record<string, ReferrersMode> = { 'v1.1-referrers-api': 'api', 'v1.1-referrers-tag': 'tag' };

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
      `how the ${of} stores referrers: ${Object.keys(SPECS).join(' or ')} (default: detected)`,
    );
  offerValues(command, long('distribution-spec'), Object.keys(SPECS));
  return command;
}

/** Adds the options for all connections of a command. */
export function addDebugOption(command: Command): Command {
  return command.option('-d, --debug', 'log requests and responses to standard error, without secrets');
}

/** The options of one side. */
export function connectionOf(values: Record<string, unknown>, side: Side): ConnectionOptions {
  const key = (name: string): string => (side === '' ? name : `${side}${name.charAt(0).toUpperCase()}${name.slice(1)}`);
  const text = (name: string): Record<string, string> => {
    const value = values[key(name)];
    // An empty value counts as not given, as in Go's tools; an empty --distribution-spec is an error.
    return typeof value === 'string' && (value !== '' || name === 'distributionSpec') ? { [name]: value } : {};
  };
  const flag = (name: string): Record<string, boolean> => {
    const value = values[key(name)];
    return typeof value === 'boolean' ? { [name]: value } : {};
  };
  const lists = (name: string, ...inherited: string[]): Record<string, string[]> => {
    const entries = [...inherited, ...listOf(values[key(name)])];
    return entries.length === 0 ? {} : { [name]: entries };
  };
  return {
    ...text('username'),
    ...text('password'),
    ...text('identityToken'),
    ...text('caFile'),
    ...text('certFile'),
    ...text('keyFile'),
    ...lists('registryConfig'),
    ...lists('header'),
    // `--resolve` applies to both sides, before `--from-resolve` and `--to-resolve`.
    ...lists('resolve', ...(side === '' ? [] : listOf(values.resolve))),
    ...(values.debug === true && { debug: true }),
    ...text('distributionSpec'),
    ...flag('passwordStdin'),
    ...flag('identityTokenStdin'),
    ...flag('plainHttp'),
    ...flag('insecure'),
  };
}

/** @throws ConfigurationError `OPTIONS_EXCLUSIVE`; InputError `CREDENTIAL_MISSING` */
async function readIdentityToken(options: ConnectionOptions, io: Io): Promise<string> {
  const { username, password, passwordStdin, identityToken, identityTokenStdin } = options;
  const isBoth = identityToken !== undefined && identityTokenStdin === true;
  if (isBoth || username !== undefined || password !== undefined || passwordStdin === true) {
    throw new ConfigurationError(
      'OPTIONS_EXCLUSIVE',
      '--identity-token, --identity-token-stdin and --username with --password exclude each other',
    );
  }
  const token = identityToken ?? (await io.readInput()).replace(/\r?\n$/, '');
  if (token === '') throw new InputError('CREDENTIAL_MISSING', 'token required: standard input is empty');
  return token;
}

async function credentialsFor(
  registry: string,
  options: ConnectionOptions,
  io: Io,
  signIns: SignIns | undefined,
): Promise<Credentials> {
  const { username = '', passwordStdin } = options;
  let { password } = options;
  if (options.identityToken !== undefined || options.identityTokenStdin === true) {
    const refreshToken = await readIdentityToken(options, io);
    return { get: () => Promise.resolve({ kind: 'refreshToken', refreshToken }) };
  }
  if (passwordStdin === true) {
    if (password !== undefined) {
      throw new ConfigurationError('OPTIONS_EXCLUSIVE', '--password and --password-stdin exclude each other');
    }
    password = (await io.readInput()).replace(/\r?\n$/, '');
  }
  if (password !== undefined) {
    // A password without a user is an identity token.
    if (username === '') return { get: () => Promise.resolve({ kind: 'refreshToken', refreshToken: password }) };
    return basicCredentials(username, password, [registry]);
  }
  const kept = keptCredentials(options, io);
  // An Azure token is valid for all registries of the account, so it is sent only to hosts whose TLS name is verified.
  const isUnproven = (options.plainHttp === true && !isLoopback(registry)) || options.insecure === true;
  const [config] = options.registryConfig ?? [];
  return signIns === undefined
    ? kept
    : signIns.after(registry, kept, { azure: !isUnproven, ...(config !== undefined && { config }) });
}

function referrersMode(spec: string | undefined): { referrers?: ReferrersMode } {
  if (spec === undefined) return {};
  const referrers = SPECS[spec];
  if (referrers === undefined) {
    throw new ConfigurationError('OPTION_INVALID', `${JSON.stringify(spec)} is not a value of --distribution-spec`, {
      remedy: `Give ${Object.keys(SPECS).join(' or ')}.`,
    });
  }
  return { referrers };
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
