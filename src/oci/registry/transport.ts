/** `api` for small requests and answers, `bytes` for large blobs: each kind has its own connections and protocol. */
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
  /**
   * What a token must allow for this request (`repository:name:pull,push`; an empty list where a token of no scope will do).
   * Left out, the request carries no credential at all, whatever is asked for: so it is for every host but the registry's own.
   */
  scopes?: readonly string[];
  /** It asks for a blob, which registries keep on hosts of their own: a redirect may lead anywhere. Default: false. */
  isBlob?: boolean;
  /** Whether it may be sent again where its end is not known. Default: all but POST and PATCH. */
  repeatable?: boolean;
  /** Which try this is, from 1; the retry layer counts. */
  attempt?: number;
  /** Called before each try. */
  onTry?: () => void;
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
