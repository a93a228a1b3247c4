import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { InputError } from '../../../src/oci/index.js';

/** A request without its body. */
export interface HostRequest {
  method: string;
  /** The path as received: not decoded, without the query. */
  path: string;
  url: URL;
  headers: IncomingHttpHeaders;
  /** @throws InputError `BODY_TOO_LARGE` */
  body(maxBytes: number): Promise<Buffer>;
}

export interface HostReply {
  status: number;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): HostReply {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

/** An error answer in the form of the durable endpoints and the host. */
export function problem(status: number, message: string): HostReply {
  return json(status, { Message: message });
}

export function toHostRequest(request: IncomingMessage, host: string): HostRequest {
  const named = `http://${request.headers.host ?? host}`;
  const url = new URL(request.url ?? '/', URL.canParse(named) ? named : `http://${host}`);
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    url,
    headers: request.headers,
    body: async (maxBytes) => await readBody(request, maxBytes),
  };
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBytes) {
      throw new InputError('BODY_TOO_LARGE', `the request body is larger than ${maxBytes} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}
