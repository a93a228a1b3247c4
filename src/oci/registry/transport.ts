/** `api` for small requests and answers, `bytes` for blobs: each kind has its own connections and protocol. */
export type RequestKind = 'api' | 'bytes';

/** A body that can be opened again for a retry. */
export interface StreamBody {
  sizeBytes: number;
  open(): AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>;
}

export interface TransportRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute. */
  url: string;
  /** Lower-case names. */
  headers?: Record<string, string>;
  kind: RequestKind;
  body?: Uint8Array | StreamBody;
  signal?: AbortSignal;
}

export interface TransportResponse {
  status: number;
  /** Lower-case names; repeated headers joined with `, `. */
  headers: Record<string, string>;
  /** Must be read to the end, or closed by leaving the loop, so that the connection is given back. */
  body: AsyncIterable<Uint8Array>;
  /** Where the answer came from, after redirects. */
  url: string;
}

/** Sends one request. Layers (redirect, auth, rate limit, retry) are transports that wrap another. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
}
