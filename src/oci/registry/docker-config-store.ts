import { realpath, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { randomUUID } from 'node:crypto';
import { isRecord } from '../descriptor.js';
import { ConfigurationError } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import {
  defaultDockerConfigPath,
  dockerConfigKey,
  helperOf,
  matchingKeys,
  readDockerConfig,
  type DockerConfigOptions,
} from './docker-config.js';
import { helperFailed, runCredentialHelper, type HelperOptions } from './docker-helper.js';

function unwritable(path: string, cause: unknown): ConfigurationError {
  const code = isRecord(cause) && typeof cause.code === 'string' ? ` (${cause.code})` : '';
  return new ConfigurationError('DOCKER_CONFIG_UNWRITABLE', `${path} cannot be written${code}`, {
    cause,
    remedy: 'Choose a writable file with --registry-config, or a writable folder with DOCKER_CONFIG.',
  });
}

/**
 * Changes `auths` in the file and keeps everything else. The file is replaced atomically and is readable only by its
 * owner.
 */
async function changeAuths(path: string, change: (auths: Record<string, unknown>) => void): Promise<void> {
  const { all, auths: before } = await readDockerConfig(path);
  const auths = { ...before };
  change(auths);
  // A symbolic link to the file is kept.
  const target = await realpath(path).catch(() => path);
  const temporary = `${target}.${randomUUID()}`;
  try {
    await makeFolder(dirname(path), 0o700);
    await writeFile(temporary, `${JSON.stringify({ ...all, auths }, undefined, '\t')}\n`, { mode: 0o600 });
    await rename(temporary, target);
  } catch (cause) {
    throw unwritable(path, cause);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

function helperOptions({ environment }: DockerConfigOptions): HelperOptions {
  return environment === undefined ? {} : { environment };
}

/**
 * Stores a user and password as Docker does: in the credential helper that the config names, or in the file. An empty
 * user means that the secret is a refresh token.
 * @throws ConfigurationError `DOCKER_CONFIG_INVALID`, `DOCKER_CONFIG_UNWRITABLE`, `CREDENTIAL_HELPER_FAILED`
 */
export async function storeDockerCredential(
  registry: string,
  username: string,
  secret: string,
  options: DockerConfigOptions = {},
): Promise<void> {
  const path = options.path ?? defaultDockerConfigPath();
  const key = dockerConfigKey(registry);
  const helper = helperOf(await readDockerConfig(path), registry);
  if (helper !== undefined) {
    const entry = JSON.stringify({ ServerURL: key, Username: username === '' ? '<token>' : username, Secret: secret });
    const { code } = await runCredentialHelper(helper, 'store', entry, helperOptions(options));
    if (code !== 0) throw helperFailed(helper, 'the helper could not store the credential');
    return;
  }
  await changeAuths(path, (auths) => {
    for (const other of matchingKeys(auths, registry)) delete auths[other];
    auths[key] =
      username === ''
        ? { identitytoken: secret }
        : { auth: Buffer.from(`${username}:${secret}`, 'utf8').toString('base64') };
  });
}

/**
 * Removes a registry's credential.
 * @returns true if there was one
 */
export async function eraseDockerCredential(registry: string, options: DockerConfigOptions = {}): Promise<boolean> {
  const path = options.path ?? defaultDockerConfigPath();
  const config = await readDockerConfig(path);
  const helper = helperOf(config, registry);
  const keys = matchingKeys(config.auths, registry);
  let erased = keys.length > 0;
  if (helper !== undefined) {
    const { code } = await runCredentialHelper(helper, 'erase', dockerConfigKey(registry), helperOptions(options));
    erased ||= code === 0;
  }
  if (keys.length > 0) {
    await changeAuths(path, (current) => {
      for (const key of matchingKeys(current, registry)) delete current[key];
    });
  }
  return erased;
}
