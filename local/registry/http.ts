import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Refusal } from './refusal.js';

/** The most bytes of a form for the token endpoints. `SIZE_INVALID`, 413 */
export const FORM_BYTES = 256 * 1024;

/**
 * Starts listening. Port 0: a free one.
 * @returns host and port in URL form
 * @throws Refusal `PORT_IN_USE`
 */
export async function listen(server: Server, port: number, host: string): Promise<{ host: string; port: number }> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause;
    throw new Refusal(0, 'PORT_IN_USE', `port ${port} on ${host} is in use: choose another with --port`, { cause });
  }
  return { host, port: (server.address() as AddressInfo).port };
}

/** Accepts no new connection, waits up to `graceMs` for running requests, then cuts the rest. */
export async function closeServer(server: Server, graceMs = 2000): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

/** Reads the whole body, at most `limitBytes`. @throws Refusal 413 `SIZE_INVALID` */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // If the body is too large, the connection stays open so that the answer arrives.
  const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > limitBytes) throw new Refusal(413, 'SIZE_INVALID', `the body is larger than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Answers with JSON. A HEAD gets only the headers, including the length. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string | number> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.length,
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : bytes);
}
