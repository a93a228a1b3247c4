import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { isDigest, type Digest } from '../../src/oci/index.js';
import { closeServer, listen } from './http.js';
import { readRange } from './routes/blobs.js';
import { Refusal } from './refusal.js';
import type { BlobStore } from './storage/blobs.js';

const SIGNATURE_MS = 20 * 60_000;

/**
 * The other host that blobs are fetched from, as with ACR. What it gives is signed for in the address; like Azure Storage it
 * refuses a request with an `Authorization` that it doesn't know.
 */
export class BlobHost {
  readonly #server: Server;
  readonly #blobs: BlobStore;
  readonly #secret = randomBytes(32);
  #port = 0;
  /** How many requests came with `Authorization`: none, with a good client. */
  authorized = 0;

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
    this.#server = createServer((request, response) => {
      this.#answer(
        request.url ?? '/',
        request.headers.authorization,
        request.headers.range,
        (status, headers, body) => {
          response.writeHead(status, headers);
          if (body === undefined) response.end();
          else body.on('error', () => response.destroy()).pipe(response);
        },
      );
    });
  }

  async start(host: string): Promise<void> {
    ({ port: this.#port } = await listen(this.#server, 0, host));
  }

  async close(): Promise<void> {
    await closeServer(this.#server);
  }

  /**
   * Where a blob is to be had for the next minutes: another name for this machine, and another port. Go's clients keep
   * `Authorization` where only the port differs.
   */
  urlOf(origin: string, digest: Digest, size: number): string {
    const url = new URL(origin);
    url.protocol = 'http:';
    url.hostname = url.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
    url.port = String(this.#port);
    url.pathname = `/blobs/${digest}`;
    const expires = Date.now() + SIGNATURE_MS;
    url.search = new URLSearchParams({
      se: String(expires),
      size: String(size),
      sig: this.#sign(digest, size, expires),
    }).toString();
    return url.href;
  }

  #sign(digest: string, size: number, expires: number): string {
    return createHmac('sha256', this.#secret).update(`${digest} ${size} ${expires}`).digest('base64url');
  }

  #answer(
    path: string,
    authorization: string | undefined,
    rangeHeader: string | undefined,
    reply: (status: number, headers: Record<string, string | number>, body?: ReturnType<BlobStore['read']>) => void,
  ): void {
    const url = new URL(path, 'http://blobs');
    if (authorization !== undefined) {
      this.authorized += 1;
      reply(400, { 'x-ms-error-code': 'InvalidAuthenticationInfo' });
      return;
    }
    const digest = decodeURIComponent(url.pathname.slice('/blobs/'.length));
    const size = Number(url.searchParams.get('size'));
    const expires = Number(url.searchParams.get('se'));
    const expected = Buffer.from(this.#sign(digest, size, expires));
    const given = Buffer.from(url.searchParams.get('sig') ?? '');
    if (
      !isDigest(digest) ||
      given.length !== expected.length ||
      !timingSafeEqual(given, expected) ||
      expires < Date.now()
    ) {
      reply(403, { 'x-ms-error-code': 'AuthenticationFailed' });
      return;
    }
    const type = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' };
    try {
      const range = readRange(rangeHeader, size);
      if (size === 0) reply(200, { ...type, 'content-length': 0 });
      else if (range === undefined)
        reply(200, { ...type, 'content-length': size }, this.#blobs.read(digest, 0, size - 1));
      else {
        const { start, end } = range;
        reply(
          206,
          { ...type, 'content-length': end - start + 1, 'content-range': `bytes ${start}-${end}/${size}` },
          this.#blobs.read(digest, start, end),
        );
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      reply(error.status, error.headers);
    }
  }
}
