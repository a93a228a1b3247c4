import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sendJson } from './http.js';

/** One line of the request log. */
export interface RequestLogEntry {
  time: string;
  method: string;
  /** With the query, but without its secrets. */
  path: string;
  status: number;
  /** The kind of token in the request and whether it was valid. */
  token: 'none' | 'valid' | 'expired' | 'invalid' | 'other';
  /** The scope that the request needs, or asks for at the token endpoint. */
  scope: string;
  /** The caller, if a valid token or credential was sent. */
  subject?: string;
}

const SECRET_PARAMETERS = ['_state', 'sig', 'code', 'access_token', 'refresh_token', 'password'];

type Headers = Record<string, string | number>;

/** A request and its one answer. The answer is logged before its first byte is sent. */
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

  /** True if the client has gone. */
  get abandoned(): boolean {
    return this.#response.destroyed;
  }

  /** A `Location`, relative like ACR's, or absolute if the quirk is on. */
  location(path: string): string {
    return this.#absolute ? `${this.origin}${path}` : path;
  }

  empty(status: number, headers: Headers = {}): void {
    this.#begin(status);
    // A 204 and the answer to a HEAD must not have a length of their own.
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

  /** Cuts the connection, because the client has gone or a started answer cannot be finished. */
  abort(): void {
    if (!this.answered) this.#begin(499);
    this.#response.destroy();
  }

  #begin(status: number): void {
    // An unread body would prevent the connection from being reused.
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
