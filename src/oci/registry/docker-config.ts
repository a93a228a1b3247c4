import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isRecord } from '../descriptor.js';
import { ConfigurationError } from '../errors.js';
import type { Credential, Credentials } from './credentials.js';
import { askCredentialHelper, type HelperOptions } from './docker-helper.js';
import { Shared } from '../concurrency.js';

/** Maximum characters of a Docker config. `DOCKER_CONFIG_INVALID` */
const DOCKER_CONFIG_BYTES = 4 * 1024 * 1024;
/** Milliseconds for which a credential is cached. */
const KEEP_MS = 60_000;

/** User name under which `az acr login` stores a refresh token. */
const ACR_TOKEN_USER = '00000000-0000-0000-0000-000000000000';
/** User name that marks a credential helper's secret as an identity token. */
const TOKEN_USER = '<token>';
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';
const DOCKER_HUB_HOSTS = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** Options for reading and writing a Docker config. */
export interface DockerConfigOptions {
  /** Path of the Docker config. Default: `~/.docker/config.json`. A missing file has no credentials. */
  path?: string;
  /** Environment of credential helpers, including PATH. Default: that of this process. */
  environment?: Record<string, string | undefined>;
}

interface DockerConfig {
  /** The whole file. */
  all: Record<string, unknown>;
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
    remedy: 'Correct the file, or log in again.',
  });
}

/** @throws ConfigurationError `DOCKER_CONFIG_INVALID` */
export async function readDockerConfig(path: string): Promise<DockerConfig> {
  const invalid = (why: string, cause?: unknown): ConfigurationError => invalidConfig(path, why, cause);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (isRecord(cause) && cause.code === 'ENOENT') return { all: {}, auths: {}, credHelpers: {} };
    throw invalid('it cannot be read', cause);
  }
  if (text.length > DOCKER_CONFIG_BYTES) throw invalid('it is too large');
  let json: unknown;
  try {
    json = text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    // The parser's message quotes the file, which holds secrets.
    throw invalid('it is not JSON');
  }
  if (!isRecord(json)) throw invalid('it is not a JSON object');
  const { auths, credHelpers, credsStore } = json;
  return {
    all: json,
    auths: isRecord(auths) ? auths : {},
    credHelpers: isRecord(credHelpers) ? credHelpers : {},
    ...(typeof credsStore === 'string' && credsStore !== '' && { credsStore }),
  };
}

/** The host of a key. Older keys are written `https://host/v1/` or `http://host/`. */
function hostOfKey(key: string): string | undefined {
  return /^(?:https?:\/\/)?([^/]+)(?:\/(?:v[12]\/?)?)?$/i.exec(key)?.[1]?.toLowerCase();
}

/** The host of a key with a path, such as `host/namespace`. oras uses such a key for the whole host. */
function hostOfPath(key: string): string | undefined {
  return /^(?:https?:\/\/)?([^/]+)/i.exec(key)?.[1]?.toLowerCase();
}

/** The key under which Docker stores a registry. */
export function dockerConfigKey(registry: string): string {
  return DOCKER_HUB_HOSTS.has(registry.toLowerCase()) ? DOCKER_HUB_KEY : registry;
}

/** The keys of a map that mean this registry; the exact key comes first. */
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

/** The credential helper for a registry: its own, or the one for all. */
export function helperOf({ credHelpers, credsStore }: DockerConfig, registry: string): string | undefined {
  const [key] = matchingKeys(credHelpers, registry);
  const own = key === undefined ? undefined : credHelpers[key];
  return typeof own === 'string' && own !== '' ? own : credsStore;
}

/**
 * Converts a user and secret to a credential. Recognizes the user names with which ACR and Docker mark refresh tokens.
 */
function credentialFrom(username: string, secret: string): Credential {
  if (secret === '') return { kind: 'anonymous' };
  if (username === ACR_TOKEN_USER || username === TOKEN_USER) return { kind: 'refreshToken', refreshToken: secret };
  return { kind: 'basic', username, password: secret };
}

/** The credential of an `auths` entry. Undefined if the entry cannot be read. */
function credentialOfEntry(entry: unknown): Credential | undefined {
  if (!isRecord(entry)) return { kind: 'anonymous' };
  const { auth, username, password, identitytoken } = entry;
  if (typeof identitytoken === 'string' && identitytoken !== '')
    return { kind: 'refreshToken', refreshToken: identitytoken };
  if (typeof username === 'string' && username !== '' && typeof password === 'string')
    return credentialFrom(username, password);
  if (typeof auth !== 'string' || auth === '') return { kind: 'anonymous' };
  // Docker sometimes pads the decoded text with zero bytes.
  const decoded = Buffer.from(auth, 'base64').toString('utf8').replaceAll('\0', '');
  const colon = decoded.indexOf(':');
  if (colon < 0) return undefined;
  return colon < 1 ? { kind: 'anonymous' } : credentialFrom(decoded.slice(0, colon), decoded.slice(colon + 1));
}

async function lookUp(path: string, registry: string, call: HelperOptions): Promise<Credential> {
  const config = await readDockerConfig(path);
  const helper = helperOf(config, registry);
  const keys = matchingKeys(config.auths, registry);
  if (helper !== undefined) {
    // A helper finds entries only by the exact key that was used to log in.
    for (const key of new Set([dockerConfigKey(registry), ...keys])) {
      const answer = await askCredentialHelper(helper, key, call);
      if (answer !== undefined) return credentialFrom(answer.username, answer.secret);
    }
    // If there is a helper, the entries of the file are ignored, as in Docker and oras.
    return { kind: 'anonymous' };
  }
  for (const key of new Set([...keys, ...matchingKeys(config.auths, registry, hostOfPath)])) {
    const credential = credentialOfEntry(config.auths[key]);
    // The message names only the key: even a malformed entry is secret.
    if (credential === undefined) {
      throw invalidConfig(path, `the auth of ${JSON.stringify(key)} is not the base64 of <user>:<password>`);
    }
    if (credential.kind !== 'anonymous') return credential;
  }
  return { kind: 'anonymous' };
}

/**
 * Credentials from a Docker config: its entries and the helper programs that it names. `az acr login` stores refresh
 * tokens there. Credentials are cached for a minute, so that a helper does not run for each token.
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
