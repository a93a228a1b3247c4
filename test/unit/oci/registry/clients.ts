import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
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
import type { StreamBody } from '../../../../src/oci/registry/transport.js';

const CHUNK_BYTES = 16 * 1024;

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

const PATTERN = Buffer.from(Array.from({ length: 251 }, (_, index) => index));

/** A body of chunks that share their memory: each is overwritten when the next one is requested. */
export function overwrittenBody(sizeBytes: number): { body: StreamBody; digest: string } {
  const chunk = (at: number): Buffer => Buffer.alloc(CHUNK_BYTES, Buffer.concat([PATTERN, Buffer.from(`${at}`)]));
  const hash = createHash('sha256');
  for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) hash.update(chunk(at));
  const open = async function* (): AsyncGenerator<Uint8Array> {
    const shared = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
      chunk(at).copy(shared);
      yield shared;
      shared.fill(0);
    }
  };
  return { body: { sizeBytes, open }, digest: hash.digest('hex') };
}

/** The digest of a request that is read more slowly than it is sent, so that its connection is always full. */
export async function readSlowly(request: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of request) {
    hash.update(chunk as Uint8Array);
    for (let pause = 0; pause < 3; pause += 1) await setImmediate();
  }
  return hash.digest('hex');
}
