import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { startRegistry, type RegistryOptions, type RunningRegistry } from '../../local/registry/server.js';

export const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';

const cleanups: (() => Promise<void>)[] = [];

/** Closes registries and removes folders after each test. Each file must call it: files share this module. */
export function cleanUpAfterEach(): void {
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  });
}

/** Functions to run after the test, last one first. */
export function atEnd(cleanup: () => Promise<void>): void {
  cleanups.push(cleanup);
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'local-registry-'));
  atEnd(async () => await rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A registry for this test, anonymous by default; closed after the test. */
export async function start(options: Partial<RegistryOptions> = {}): Promise<RunningRegistry> {
  const dataDir = options.dataDir ?? (await temporaryFolder());
  const registry = await startRegistry({ anonymous: options.users === undefined, ...options, dataDir });
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => await (closed ??= registry.close());
  atEnd(close);
  return new Proxy(registry, { get: (target, key) => (key === 'close' ? close : Reflect.get(target, key)) });
}

type Body = NonNullable<RequestInit['body']>;

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The specification's error code. */
  code: string | undefined;
}

export interface Send {
  (method: string, path: string, init?: { headers?: Record<string, string>; body?: Body }): Promise<Answer>;
}

/** Sends a request to a registry. The path may be a `Location`. Redirects are not followed. */
export function sender(registry: RunningRegistry, token?: string): Send {
  return async (method, path, init = {}) => {
    const response = await fetch(new URL(path, registry.url), {
      method,
      redirect: 'manual',
      ...(init.body !== undefined && { body: init.body, duplex: 'half' }),
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...init.headers },
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, code: codeOf(text) };
  };
}

function codeOf(text: string): string | undefined {
  return /"errors":\[\{"code":"([A-Z_]+)"/.exec(text)?.[1];
}

export function sha256(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

export function sha512(content: string | Uint8Array): string {
  return `sha512:${createHash('sha512').update(content).digest('hex')}`;
}

/** The `Location` of an answer with one more parameter. */
export function locationOf(answer: Answer, parameter = ''): string {
  const location = answer.headers.get('location') ?? '';
  return parameter === '' ? location : `${location}${location.includes('?') ? '&' : '?'}${parameter}`;
}

/** Uploads a blob with a single POST. @returns its descriptor */
export async function putBlob(
  send: Send,
  repository: string,
  content: string,
): Promise<{ mediaType: string; digest: string; size: number }> {
  const digest = sha256(content);
  await send('POST', `/v2/${repository}/blobs/uploads/?digest=${digest}`, { body: content });
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: Buffer.byteLength(content) };
}

/** Pushes an image with one layer. @returns the manifest's digest and text */
export async function putImage(
  send: Send,
  repository: string,
  reference: string,
  more: Record<string, unknown> = {},
): Promise<{ digest: string; text: string; answer: Answer }> {
  const config = { ...(await putBlob(send, repository, '{}')), mediaType: 'application/vnd.oci.image.config.v1+json' };
  const layer = await putBlob(send, repository, 'layer');
  const text = JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, config, layers: [layer], ...more });
  const digest = sha256(text);
  const name = reference === 'digest' ? digest : reference;
  const answer = await send('PUT', `/v2/${repository}/manifests/${name}`, {
    headers: { 'content-type': IMAGE },
    body: text,
  });
  return { digest, text, answer };
}

/** Waits until a condition holds, for less than the time that a test has. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 50_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not come to hold');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
