/** `api`: small requests and answers. `bytes`: large blobs. Each kind has its own connections and protocol. */
export type RequestKind = 'api' | 'bytes';

/** A body that can be opened again for a retry. */
export interface StreamBody {
  sizeBytes: number;
  open(): AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>;
}

/** A request to a registry. */
export interface TransportRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute. */
  url: string;
  /** Lower-case names. */
  headers?: Record<string, string>;
  kind: RequestKind;
  body?: Uint8Array | StreamBody;
  signal?: AbortSignal | undefined;
  /**
   * Scopes that a token needs for this request (`repository:name:pull,push`); an empty list if any token will do.
   * Without `scopes`, the request never carries a credential, which is required for every host except the registry's
   * own.
   */
  scopes?: readonly string[];
  /**
   * True for a request for a blob: registries keep blobs on other hosts, so a redirect may lead to any host. Default:
   * false.
   */
  isBlob?: boolean;
  /** Whether the request may be repeated if its result is unknown. Default: true, except for POST and PATCH. */
  repeatable?: boolean;
  /** Number of the try, from 1. Set by the retry layer. */
  attempt?: number;
  /** Called before each try. */
  onTry?: () => void;
}

/** The answer to a request, whatever its status. */
export interface TransportResponse {
  status: number;
  /** Lower-case names; repeated headers joined with `, `. */
  headers: Record<string, string>;
  /** Must be read to its end, or closed by leaving the loop, to release the connection. */
  body: AsyncIterable<Uint8Array>;
  /** URL of the answer, after redirects. */
  url: string;
}

/** Sends one request. The layers (redirect, auth, rate limit, retry) are transports that wrap another one. */
export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
}
