import {
  anonymousCredentials,
  createRegistries,
  digestOf,
  type Credential,
  type Credentials,
  type Descriptor,
  type RegistriesOptions,
  type RegistryClient,
} from '../../../../src/oci/index.js';

/** A client without pauses between tries. */
export function quickClient(options: Partial<RegistriesOptions> = {}): RegistryClient {
  return createRegistries({ credentials: anonymousCredentials, ...options, retry: { baseMs: 1, ...options.retry } });
}

/** Returns always the same credential and counts the calls. */
export function fixedCredentials(credential: Credential): Credentials & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    get: (registry) => {
      asked.push(registry);
      return Promise.resolve(credential);
    },
  };
}

export function blobOf(bytes: Uint8Array): Descriptor {
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length };
}

export async function* chunksOf(bytes: Uint8Array, chunkBytes = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkBytes) yield bytes.subarray(start, start + chunkBytes);
}

export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The error of a promise; undefined if it does not fail. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error;
  }
}
