import { hideCredentials } from './credentials-in-text.js';

/** The serialized form of every error in this project. It is safe to log, to store in history and to show. */
export interface SerializedError {
  code: string;
  message: string;
  details?: Record<string, unknown>;
}

/** Options of an error. */
export interface ErrorOptions {
  cause?: unknown;
  /** What an operator needs to know, as JSON. Never contains a header, a token or a URL with its query. */
  details?: Record<string, unknown> | undefined;
  /**
   * One sentence that says what to do. It is shown unchanged, so that its commands work: it may contain parsed names,
   * but never text that a user typed.
   */
  remedy?: string | undefined;
  /** True if the same call may succeed later without any change. Default: false. */
  transient?: boolean | undefined;
  /** How long the server asks the client to wait, in milliseconds. */
  retryAfterMs?: number | undefined;
}

/**
 * Base class of all errors: a stable SCREAMING_SNAKE code, a message that names the reference, and a remedy. Users,
 * passwords and queries are removed from the message and the details ({@link hideCredentials}).
 */
export class PromoterError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown>;
  readonly remedy: string | undefined;
  readonly transient: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(hideCredentials(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = mapTexts(options.details ?? {}, hideCredentials);
    this.remedy = options.remedy;
    this.transient = options.transient ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }

  toJSON(): SerializedError {
    return {
      code: this.code,
      message: this.message,
      ...(Object.keys(this.details).length > 0 && { details: this.details }),
    };
  }
}

/** The input is malformed: a reference, a digest, a manifest, a rule or a message. Never transient. */
export class InputError extends PromoterError {}

/** The configuration is missing or wrong: a setting, a key or a credential. */
export class ConfigurationError extends PromoterError {}

/** Bytes do not match their descriptor: `DIGEST_MISMATCH`, `SIZE_MISMATCH`, `TOO_LARGE`. */
export class IntegrityError extends PromoterError {}

/** The server did not answer: `CONNECT_FAILED`, `TIMEOUT`, `STALLED`, `CONNECTION_CLOSED`. Transient by default. */
export class TransportError extends PromoterError {
  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(code, message, { transient: true, ...options });
  }
}

/** The answer that a {@link RegistryError} reports. */
export interface RegistryErrorInfo {
  method: string;
  /** Without userinfo and query. */
  url: string;
  status: number;
  /** The codes in the distribution specification's error body, in order. */
  registryCodes: string[];
  retryAfterMs?: number | undefined;
}

/**
 * True if a later request may get another status, because the server was busy, slow or broken. 501, 505 and 507 are
 * final.
 */
function mayPass(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || (status >= 500 && ![501, 505, 507].includes(status));
}

/**
 * A registry answered with an error. `code` is the first code of the error body (`MANIFEST_UNKNOWN`, `NAME_UNKNOWN`,
 * `UNAUTHORIZED`, `DENIED`, `TOOMANYREQUESTS`, …), or `HTTP_<status>` if the body has none.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 */
export class RegistryError extends PromoterError {
  readonly info: RegistryErrorInfo;

  constructor(message: string, info: RegistryErrorInfo, options: ErrorOptions & { code?: string } = {}) {
    super(options.code ?? info.registryCodes[0] ?? `HTTP_${info.status}`, message, {
      transient: mayPass(info.status),
      ...(info.retryAfterMs !== undefined && { retryAfterMs: info.retryAfterMs }),
      ...options,
      details: { ...info, ...options.details },
    });
    this.info = info;
  }

  /** True if the requested content does not exist (404). */
  get notFound(): boolean {
    return this.info.status === 404;
  }
}

/** The answer to a request. Undefined if the requested content does not exist (404). */
export async function ifThere<T>(request: () => Promise<T>): Promise<T | undefined> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return undefined;
    throw error;
  }
}

/** The entries of a list. None if the listed content does not exist (404). */
export async function* orNone<T>(list: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* list;
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
  }
}

/**
 * Creates a {@link RegistryError} with a code of ours, for an answer that is wrong in another way than its status.
 * @param answer.url without userinfo and query
 */
export function answerError(
  code: string,
  message: string,
  { method = 'GET', url, status = 200 }: { method?: string; url: string; status?: number },
): RegistryError {
  return new RegistryError(message, { method, url, status, registryCodes: [] }, { code });
}

/**
 * A copy failed: `COPY_…`, `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST`, `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`,
 * `GRAPH_CYCLE`.
 */
export class CopyError extends PromoterError {}

/** A signature or attestation was checked and is not valid. */
export class VerificationError extends PromoterError {}

/** A signature could not be checked. An unchecked signature does not pass. */
export class InconclusiveError extends PromoterError {}

/** A rule or a setting forbids the operation: `DESTINATION_TAKEN`, `COPY_BYPASSES_RULE`, `REGISTRY_NOT_ALLOWED`, … */
export class PolicyError extends PromoterError {}

/**
 * Converts any thrown value to a code and a message. The code of a value that is not a {@link PromoterError} is
 * `INTERNAL`.
 */
export function describeError(error: unknown): SerializedError & { remedy?: string | undefined; transient: boolean } {
  if (error instanceof PromoterError) {
    return { ...error.toJSON(), transient: error.transient, remedy: error.remedy };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'INTERNAL', message: hideCredentials(message), transient: true };
}

/** Maps the strings in a JSON value. Names of fields are kept. */
function mapTexts<T>(value: T, map: (text: string) => string): T;
function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((entry: unknown) => mapTexts(entry, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, mapTexts(entry, map)]));
}
