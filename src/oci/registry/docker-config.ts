import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isRecord } from '../descriptor.js';
import { ConfigurationError } from '../errors.js';
import type { Credential, Credentials } from './credentials.js';
import { askCredentialHelper, type HelperOptions } from './docker-helper.js';
import { Shared } from './shared.js';

/** Characters of a Docker config. `DOCKER_CONFIG_INVALID` */
const DOCKER_CONFIG_BYTES = 4 * 1024 * 1024;
/** Milliseconds for which a found credential is kept. */
const KEEP_MS = 60_000;

/** The user under which `az acr login` leaves a refresh token. */
const ACR_TOKEN_USER = '00000000-0000-0000-0000-000000000000';
/** The user by which a credential helper says that its secret is an identity token. */
const TOKEN_USER = '<token>';
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';
const DOCKER_HUB_HOSTS = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

export interface DockerConfigOptions {
  /** By default `~/.docker/config.json`; an absent file holds no credentials. */
  path?: string;
  /** The environment of credential helpers, PATH among it; by default this process's. */
  environment?: Record<string, string | undefined>;
}

export interface DockerConfig {
  auths: Record<string, unknown>;
  credHelpers: Record<string, unknown>;
  credsStore?: string;
}

export function defaultDockerConfigPath(): string {
  return join(homedir(), '.docker', 'config.json');
}

function invalidConfig(path: string, why: string, cause?: unknown): ConfigurationError {
  return new ConfigurationError('DOCKER_CONFIG_INVALID', `${path}: ${why}`, {
    cause,
    remedy: 'Correct the file, or sign in again.',
  });
}

/** @throws ConfigurationError `DOCKER_CONFIG_INVALID` */
export async function readDockerConfig(path: string): Promise<DockerConfig> {
  const invalid = (why: string, cause?: unknown): ConfigurationError => invalidConfig(path, why, cause);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (isRecord(cause) && cause.code === 'ENOENT') return { auths: {}, credHelpers: {} };
    throw invalid('it can not be read', cause);
  }
  if (text.length > DOCKER_CONFIG_BYTES) throw invalid('it is too large');
  let json: unknown;
  try {
    json = text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    // The parser's own message quotes the file, and the file holds secrets.
    throw invalid('it is not JSON');
  }
  if (!isRecord(json)) throw invalid('it is not a JSON object');
  const { auths, credHelpers, credsStore } = json;
  return {
    auths: isRecord(auths) ? auths : {},
    credHelpers: isRecord(credHelpers) ? credHelpers : {},
    ...(typeof credsStore === 'string' && credsStore !== '' && { credsStore }),
  };
}

/** The host of a key: older ones are written `https://host/v1/` or `http://host/`. */
function hostOfKey(key: string): string | undefined {
  return /^(?:https?:\/\/)?([^/]+)(?:\/(?:v[12]\/?)?)?$/i.exec(key)?.[1]?.toLowerCase();
}

/** The same of a key with a path, such as `host/namespace`: for oras it stands for all of its host. */
function hostOfPath(key: string): string | undefined {
  return /^(?:https?:\/\/)?([^/]+)/i.exec(key)?.[1]?.toLowerCase();
}

/** The keys under which a registry may stand, the exact one first. */
export function dockerConfigKey(registry: string): string {
  return DOCKER_HUB_HOSTS.has(registry.toLowerCase()) ? DOCKER_HUB_KEY : registry;
}

/** The keys of a map that stand for this registry, the exact one first. */
export function matchingKeys(map: Record<string, unknown>, registry: string, hostOf = hostOfKey): string[] {
  const key = dockerConfigKey(registry);
  const host = hostOf(key);
  const hubKeys = key === DOCKER_HUB_KEY ? [...DOCKER_HUB_HOSTS] : [];
  const others = Object.keys(map).filter((other) => {
    const otherHost = hostOf(other);
    return other !== key && otherHost !== undefined && (otherHost === host || hubKeys.includes(otherHost));
  });
  return Object.hasOwn(map, key) ? [key, ...others] : others;
}

/** A user and secret as a credential: ACR's and Docker's ways of writing a refresh token are known. */
function credentialFrom(username: string, secret: string): Credential {
  if (secret === '') return { kind: 'anonymous' };
  if (username === ACR_TOKEN_USER || username === TOKEN_USER) return { kind: 'refreshToken', refreshToken: secret };
  return { kind: 'basic', username, password: secret };
}

/** Undefined where there is something that cannot be read. */
function credentialOfEntry(entry: unknown): Credential | undefined {
  if (!isRecord(entry)) return { kind: 'anonymous' };
  const { auth, username, password, identitytoken } = entry;
  if (typeof identitytoken === 'string' && identitytoken !== '')
    return { kind: 'refreshToken', refreshToken: identitytoken };
  if (typeof username === 'string' && username !== '' && typeof password === 'string')
    return credentialFrom(username, password);
  if (typeof auth !== 'string' || auth === '') return { kind: 'anonymous' };
  // Docker pads the decoded text with zero bytes in places.
  const decoded = Buffer.from(auth, 'base64').toString('utf8').replaceAll('\0', '');
  const colon = decoded.indexOf(':');
  if (colon < 0) return undefined;
  return colon < 1 ? { kind: 'anonymous' } : credentialFrom(decoded.slice(0, colon), decoded.slice(colon + 1));
}

async function lookUp(path: string, registry: string, call: HelperOptions): Promise<Credential> {
  const config = await readDockerConfig(path);
  const helperKey = matchingKeys(config.credHelpers, registry)[0];
  const ownHelper = helperKey === undefined ? undefined : config.credHelpers[helperKey];
  const helper = typeof ownHelper === 'string' && ownHelper !== '' ? ownHelper : config.credsStore;
  const keys = matchingKeys(config.auths, registry);
  if (helper !== undefined) {
    // A store knows its entries by the very key that was used to sign in.
    for (const key of new Set([dockerConfigKey(registry), ...keys])) {
      const answer = await askCredentialHelper(helper, key, call);
      if (answer !== undefined) return credentialFrom(answer.username, answer.secret);
    }
    // As in Docker and oras: what stands in the file is not its own any more.
    return { kind: 'anonymous' };
  }
  for (const key of new Set([...keys, ...matchingKeys(config.auths, registry, hostOfPath)])) {
    const credential = credentialOfEntry(config.auths[key]);
    // Its content is a secret, however wrong.
    if (credential === undefined) {
      throw invalidConfig(path, `the auth of ${JSON.stringify(key)} is not the base64 of <user>:<password>`);
    }
    if (credential.kind !== 'anonymous') return credential;
  }
  return { kind: 'anonymous' };
}

/**
 * Credentials from a Docker config: its entries, and the helper programs that it names. `az acr login`'s entries are refresh
 * tokens. What was found is kept for a minute, so that a helper is not started for each token.
 * @throws ConfigurationError `DOCKER_CONFIG_INVALID`, `CREDENTIAL_HELPER_FAILED`
 */
export function dockerConfigCredentials(options: DockerConfigOptions = {}): Credentials {
  const path = options.path ?? defaultDockerConfigPath();
  const kept = new Map<string, { untilMs: number; credential: Shared<Credential> }>();
  return {
    get: (registry, signal) => {
      const nowMs = performance.now();
      const found = kept.get(registry);
      if (found !== undefined && nowMs < found.untilMs && !found.credential.isAbandoned)
        return found.credential.wait(signal);
      const credential = new Shared((shared) =>
        lookUp(path, registry, {
          ...(options.environment !== undefined && { environment: options.environment }),
          signal: shared,
        }),
      );
      kept.set(registry, { untilMs: nowMs + KEEP_MS, credential });
      const answer = credential.wait(signal);
      answer.catch(() => kept.get(registry)?.credential === credential && kept.delete(registry));
      return answer;
    },
  };
}
