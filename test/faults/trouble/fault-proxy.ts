import { createServer, request as requestUpstream, type IncomingMessage, type ServerResponse } from 'node:http';
import { freePort } from '../../support/free-port.js';

/** What becomes of a request instead of an answer by the server behind. */
export type Fault =
  | { status: number; code?: string; message?: string; retryAfter?: number; challenge?: true; body?: string }
  /** The connection breaks. */
  | 'reset'
  /** The answer comes, with its last byte another. */
  | 'corrupt'
  /** It waits for so long before it is passed on. */
  | { delayMs: number };

export interface Seen {
  method: string;
  /** With its query. */
  path: string;
  /** Of the play, not of the clock. */
  nowMs: number;
}

/** An HTTP server in front of another, which does to requests what a table says, and can be as if it weren't there. */
export class FaultProxy {
  readonly #server = createServer((request, response) => void this.#pass(request, response));
  #port = 0;
  #isUp = false;
  /** Behind it. */
  upstreamPort = 0;
  nowMs = 0;
  /** Undefined: passed on as it is. */
  fault: (seen: Seen) => Fault | undefined = () => undefined;
  /** True where nothing listens at that moment. */
  isDown: (nowMs: number) => boolean = () => false;
  /** Requests that had a fault. */
  faults = 0;

  get authority(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    // The same one each time, though it was down in between.
    this.#port ||= await freePort();
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#server.removeAllListeners('error');
    this.#isUp = true;
  }

  async close(): Promise<void> {
    if (!this.#isUp) return;
    this.#isUp = false;
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    this.#server.closeAllConnections();
    await closed;
  }

  /** It is so late now. */
  async at(nowMs: number): Promise<void> {
    this.nowMs = nowMs;
    const down = this.isDown(nowMs);
    if (down && this.#isUp) await this.close();
    if (!down && !this.#isUp) await this.open();
  }

  async reset(): Promise<void> {
    this.fault = () => undefined;
    this.isDown = () => false;
    this.faults = 0;
    await this.at(0);
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    const fault = this.fault({ method, path: url, nowMs: this.nowMs });
    if (fault !== undefined) this.faults += 1;
    if (fault === 'reset') {
      request.socket.destroy();
      return;
    }
    if (typeof fault === 'object' && 'status' in fault) {
      request.resume();
      const { status, code, message = 'so says the table', retryAfter, challenge, body } = fault;
      response.writeHead(status, {
        'content-type': body === undefined ? 'application/json' : 'application/vnd.oci.image.index.v1+json',
        ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
        ...(challenge === true && { 'www-authenticate': this.#challenge }),
      });
      const errors = code === undefined ? '' : JSON.stringify({ errors: [{ code, message }] });
      response.end(method === 'HEAD' ? '' : (body ?? errors));
      return;
    }
    if (typeof fault === 'object') await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    this.#forward(request, response, fault === 'corrupt');
  }

  get #challenge(): string {
    return `Bearer realm="http://${this.authority}/oauth2/token",service="${this.authority}"`;
  }

  #forward(request: IncomingMessage, response: ServerResponse, corrupt: boolean): void {
    const upstream = requestUpstream(
      {
        host: '127.0.0.1',
        port: this.upstreamPort,
        method: request.method,
        path: request.url,
        headers: request.headers,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        if (!corrupt) {
          answer.pipe(response);
          return;
        }
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const bytes = Buffer.concat(chunks);
          if (bytes.length > 0) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
          response.end(bytes);
        });
      },
    );
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  }
}
