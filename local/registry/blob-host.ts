import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { isDigest, type Digest } from '../../src/oci/index.js';
import type { RequestLogEntry } from './call.js';
import { closeServer, listen } from './http.js';
import type { RegistryOptions } from './options.js';
import { Refusal } from './refusal.js';
import { readRange } from './routes/blobs.js';
import type { BlobStore } from './storage/blobs.js';

const SIGNATURE_MS = 20 * 60_000;
const BLOB_HEADERS = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };

/**
 * The separate host for blobs, as with ACR. Its URLs are signed. Like Azure Storage, it refuses a request with an
 * unknown `Authorization` header.
 */
export class BlobHost {
  readonly #server: Server;
  readonly #blobs: BlobStore;
  readonly #secret = randomBytes(32);
  #port = 0;
  /** The number of requests with `Authorization`; a good client sends none. */
  authorized = 0;

  constructor(blobs: BlobStore, options: RegistryOptions, log: (entry: RequestLogEntry) => void) {
    this.#blobs = blobs;
    this.#server = options.tls === undefined ? createServer() : createSecureServer(options.tls);
    this.#server.on('request', (request, response) => this.#answer(request, response, log));
  }

  async start(host: string): Promise<void> {
    ({ port: this.#port } = await listen(this.#server, 0, host));
  }

  async close(): Promise<void> {
    if (this.#server.listening) await closeServer(this.#server);
  }

  /**
   * The URL of a blob for the next minutes, with another name for this machine and another port. Go clients keep
   * `Authorization` if only the port differs.
   */
  urlOf(origin: string, digest: Digest, size: number): string {
    const url = new URL(origin);
    url.hostname = url.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
    url.port = String(this.#port);
    url.pathname = `/blobs/${digest}`;
    const expires = Date.now() + SIGNATURE_MS;
    const sig = this.#sign(digest, size, expires);
    url.search = new URLSearchParams({ se: String(expires), size: String(size), sig }).toString();
    return url.href;
  }

  #sign(digest: string, size: number, expires: number): string {
    return createHmac('sha256', this.#secret).update(`${digest} ${size} ${expires}`).digest('base64url');
  }

  #answer(request: IncomingMessage, response: ServerResponse, log: (entry: RequestLogEntry) => void): void {
    const { method = 'GET', headers } = request;
    const url = new URL(request.url ?? '/', 'http://blobs');
    const token = headers.authorization === undefined ? 'none' : 'other';
    const begin = (status: number, own: Record<string, string | number>): ServerResponse => {
      log({ time: new Date().toISOString(), method, path: url.pathname, status, token, scope: 'blob-host' });
      return response.writeHead(status, own);
    };
    if (token === 'other') {
      this.authorized += 1;
      begin(400, { 'x-ms-error-code': 'InvalidAuthenticationInfo' }).end();
      return;
    }
    const signed = this.#read(url);
    if (signed === undefined) {
      begin(403, { 'x-ms-error-code': 'AuthenticationFailed' }).end();
      return;
    }
    const { digest, size } = signed;
    try {
      const range = readRange(headers.range, size);
      const { start, end } = range ?? { start: 0, end: size - 1 };
      const begun = begin(range === undefined ? 200 : 206, {
        ...BLOB_HEADERS,
        'content-length': end - start + 1,
        ...(range !== undefined && { 'content-range': `bytes ${start}-${end}/${size}` }),
      });
      if (size === 0 || method === 'HEAD') begun.end();
      else
        this.#blobs
          .read(digest, start, end)
          .once('error', () => response.destroy())
          .pipe(begun);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      begin(error.status, error.headers).end();
    }
  }

  /** The blob that a signed URL allows; undefined if the signature is wrong or too old. */
  #read(url: URL): { digest: Digest; size: number } | undefined {
    const digest = decodeURIComponent(url.pathname.slice('/blobs/'.length));
    const size = Number(url.searchParams.get('size'));
    const expires = Number(url.searchParams.get('se'));
    const expected = Buffer.from(this.#sign(digest, size, expires));
    const given = Buffer.from(url.searchParams.get('sig') ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    return isDigest(digest) && expires > Date.now() ? { digest, size } : undefined;
  }
}
