import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sendJson } from './http.js';

/** One line of the request log. */
export interface RequestLogEntry {
  time: string;
  method: string;
  /** With a query whose secrets are left out. */
  path: string;
  status: number;
  /** Whether a token of this registry's came, and what it was worth. */
  token: 'none' | 'valid' | 'expired' | 'invalid' | 'other';
  /** What the request needs, or asks for at the token endpoint. */
  scope: string;
  /** Who it was, where a valid token or credential came. */
  subject?: string;
}

const SECRET_PARAMETERS = ['_state', 'sig', 'code', 'access_token', 'refresh_token', 'password'];

type Headers = Record<string, string | number>;

/** A request and its one answer, which is logged before a byte of it is sent. */
export class Call {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly method: string;
  token: RequestLogEntry['token'] = 'none';
  scope = '';
  subject: string | undefined;
  readonly #response: ServerResponse;
  readonly #log: (entry: RequestLogEntry) => void;
  readonly #absolute: boolean;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: { origin: string; absoluteLocations: boolean; log: (entry: RequestLogEntry) => void },
  ) {
    this.request = request;
    this.#response = response;
    this.method = request.method ?? 'GET';
    this.url = new URL(request.url ?? '/', options.origin);
    this.#log = options.log;
    this.#absolute = options.absoluteLocations;
  }

  /** Scheme and host as the client sees them. */
  get origin(): string {
    const { host } = this.request.headers;
    return host === undefined ? this.url.origin : `${this.url.protocol}//${host}`;
  }

  get answered(): boolean {
    return this.#response.headersSent;
  }

  /** True where there is nobody to answer any more. */
  get abandoned(): boolean {
    return this.#response.destroyed;
  }

  /** A `Location`, relative as ACR's are, or absolute at will. */
  location(path: string): string {
    return this.#absolute ? `${this.origin}${path}` : path;
  }

  empty(status: number, headers: Headers = {}): void {
    this.#begin(status);
    // A 204 and a HEAD's answer have no length of their own to give.
    const length = status === 204 || this.method === 'HEAD' ? {} : { 'content-length': 0 };
    this.#response.writeHead(status, { ...length, ...headers });
    this.#response.end();
  }

  json(status: number, body: unknown, headers: Headers = {}): void {
    this.#begin(status);
    sendJson(this.#response, status, body, headers);
  }

  bytes(status: number, body: Uint8Array | string, headers: Headers): void {
    this.#begin(status);
    this.#response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
    this.#response.end(this.method === 'HEAD' ? undefined : body);
  }

  /** `content-length` must be among the headers. */
  async stream(status: number, body: Readable, headers: Headers): Promise<void> {
    this.#begin(status);
    this.#response.writeHead(status, headers);
    await pipeline(body, this.#response);
  }

  /** Cuts the connection: what is left to do where the client has gone, or an answer that has begun can't be finished. */
  abort(): void {
    if (!this.answered) this.#begin(499);
    this.#response.destroy();
  }

  #begin(status: number): void {
    // Whatever of the body nobody has read would keep the connection from being used again.
    if (!this.request.readableEnded) this.request.resume();
    this.#log({
      time: new Date().toISOString(),
      method: this.method,
      path: this.#path(),
      status,
      token: this.token,
      scope: this.scope,
      ...(this.subject !== undefined && { subject: this.subject }),
    });
  }

  #path(): string {
    const query = new URLSearchParams(this.url.search);
    for (const name of SECRET_PARAMETERS) query.delete(name);
    const text = query.toString();
    return text === '' ? this.url.pathname : `${this.url.pathname}?${text}`;
  }
}
