import { expect } from '@jest/globals';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface SeenRequest {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface Answer {
  status: number;
  headers?: Record<string, string | string[]>;
  /** An object is sent as JSON. */
  body?: string | Uint8Array | object;
}

export interface Exchange {
  /** `GET /v2/app/manifests/v1`, including the query. */
  request: string;
  /** Required headers of the request. Undefined means that the header must be absent. */
  headers?: Record<string, string | undefined>;
  /** An answer, or a function that returns or writes one. */
  answer: Answer | ((seen: SeenRequest, response: ServerResponse) => Answer | void);
  /** Answers before the request's body is read. */
  early?: boolean;
  /** True if the request is optional. */
  maybe?: boolean;
  /** Number of times that the request is expected. Default: 1. */
  times?: number;
}

export interface ScriptedServer {
  /** `localhost:12345` */
  host: string;
  /** `http://localhost:12345` */
  origin: string;
  /** Received requests as `METHOD /path?query`. */
  seen: SeenRequest[];
  /** Adds to the script, for answers that contain the server's own address. */
  script(...exchanges: Exchange[]): void;
}

function write(response: ServerResponse, answer: Answer, method: string): void {
  const { status, headers = {}, body } = answer;
  const bytes =
    body === undefined
      ? Buffer.alloc(0)
      : typeof body === 'string' || body instanceof Uint8Array
        ? Buffer.from(body)
        : Buffer.from(JSON.stringify(body));
  const length = status === 204 || status === 304 ? {} : { 'content-length': String(bytes.length) };
  response.writeHead(status, { ...length, ...headers });
  response.end(method === 'HEAD' ? undefined : bytes);
}

/**
 * A server with a script of expected requests. An unexpected request is answered with 599 and fails the test; so does
 * an expected one that never arrives. Exchanges with the same request are used in order, others in any order.
 */
export async function scripted(exchanges: Exchange[], run: (server: ScriptedServer) => Promise<void>): Promise<void> {
  const open = exchanges.map((exchange) => ({ ...exchange, left: exchange.times ?? 1 }));
  const problems: string[] = [];
  const sockets = new Set<Socket>();
  const seen: SeenRequest[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request;
    const found = open.find((exchange) => exchange.left > 0 && exchange.request === `${method} ${url}`);
    const body = found?.early === true ? Buffer.alloc(0) : await buffer(request);
    const one: SeenRequest = { method, url, headers, body };
    seen.push(one);
    if (found === undefined) {
      problems.push(`unexpected ${method} ${url}`);
      write(response, { status: 599 }, method);
      return;
    }
    found.left -= 1;
    for (const [name, value] of Object.entries(found.headers ?? {})) {
      if (headers[name] !== value)
        problems.push(`${method} ${url}: ${name} is ${String(headers[name])}, expected ${String(value)}`);
    }
    const answer = typeof found.answer === 'function' ? found.answer(one, response) : found.answer;
    if (answer !== undefined) write(response, answer, method);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      // Many scripts contain a request whose body breaks off.
      if (request.errored === null) problems.push(String(error));
      response.destroy();
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  try {
    await run({
      host: `localhost:${port}`,
      origin: `http://localhost:${port}`,
      seen,
      script: (...more) => {
        open.push(...more.map((exchange) => ({ ...exchange, left: exchange.times ?? 1 })));
      },
    });
    for (const { request, left, maybe } of open)
      if (left > 0 && maybe !== true) problems.push(`${request} never came (${left} left)`);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  expect(problems).toEqual([]);
}
