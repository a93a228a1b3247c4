import { spawn } from 'node:child_process';
import { parseObject } from '../descriptor.js';
import { ConfigurationError } from '../errors.js';

/** Maximum milliseconds for a credential helper, which may ask the user for a password. `CREDENTIAL_HELPER_FAILED` */
const HELPER_MS = 60_000;
/** Maximum characters of a credential helper's answer. */
const HELPER_BYTES = 1024 * 1024;

/** Text that helpers print to standard output, with exit code 1, if they have no credential. */
const NOT_FOUND = /credentials not found|no credentials/i;

export interface HelperOptions {
  signal?: AbortSignal;
  environment?: Record<string, string | undefined>;
}

interface Ended {
  code: number | null;
  output: string;
}

function run(program: string, action: string, input: string, options: HelperOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [action], {
      stdio: ['pipe', 'pipe', 'ignore'],
      // A helper that is waiting for user input may ignore weaker signals.
      killSignal: 'SIGKILL',
      // The timeout option of spawn would keep this process alive if the program does not exist.
      signal: AbortSignal.any([
        AbortSignal.timeout(HELPER_MS),
        ...(options.signal === undefined ? [] : [options.signal]),
      ]),
      ...(options.environment !== undefined && { env: options.environment }),
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.length > HELPER_BYTES) child.kill();
    });
    // A helper that does not read its input closes the pipe. Its exit code gives the result.
    child.stdin.on('error', () => {}).end(input);
    child.on('error', (error) => {
      // A child of the helper may still hold the output open.
      child.stdout.destroy();
      reject(error);
    });
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** Creates `CREDENTIAL_HELPER_FAILED`. @param suffix of the helper's name, `docker-credential-<suffix>` */
export function helperFailed(suffix: string, why: string, cause?: unknown): ConfigurationError {
  return new ConfigurationError('CREDENTIAL_HELPER_FAILED', `docker-credential-${suffix}: ${why}`, {
    cause,
    remedy: 'Install the helper that the Docker config names, or remove it from the config and log in again.',
  });
}

/**
 * Runs `docker-credential-<suffix>` as Docker does.
 * @param input the registry's key for `get` and `erase`; JSON for `store`
 * @throws ConfigurationError `CREDENTIAL_HELPER_FAILED`, which never contains the program's output
 */
export async function runCredentialHelper(
  suffix: string,
  action: 'get' | 'store' | 'erase',
  input: string,
  options: HelperOptions = {},
): Promise<Ended> {
  // The name becomes part of a program's name, so it must not lead to another folder.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(suffix)) throw helperFailed(suffix, 'it is not a valid helper name');
  try {
    return await run(`docker-credential-${suffix}`, action, input, options);
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw helperFailed(suffix, 'it could not be started or timed out', cause);
  }
}

/**
 * Asks a helper for a credential.
 * @returns undefined if the helper has no entry for this key
 * @throws ConfigurationError `CREDENTIAL_HELPER_FAILED`
 */
export async function askCredentialHelper(
  suffix: string,
  key: string,
  options: HelperOptions = {},
): Promise<{ username: string; secret: string } | undefined> {
  const { code, output } = await runCredentialHelper(suffix, 'get', key, options);
  if (code !== 0) {
    if (code === 1 && NOT_FOUND.test(output)) return undefined;
    throw helperFailed(suffix, code === null ? 'it was stopped' : `it ended with code ${code}`);
  }
  const { Username: username, Secret: secret } = parseObject(output) ?? {};
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw helperFailed(suffix, 'its answer is not JSON with Username and Secret');
  }
  return { username, secret };
}
