import { hideCredentials } from './credentials-in-text.js';

/** What every error of this project can be turned into: safe to log, to keep in history and to show. */
export interface SerializedError {
  code: string;
  message: string;
  details?: Record<string, unknown>;
}

export interface ErrorOptions {
  cause?: unknown;
  /** What an operator needs to know, as JSON; never a header, a token or a URL with its query. */
  details?: Record<string, unknown>;
  /** One sentence: what to do about it. Shown as it is, so that its commands work: it holds parsed names, never what a user typed. */
  remedy?: string;
  /** True where the same call may succeed later without anybody doing anything. */
  transient?: boolean;
  /** How long the other side asks to be left alone, in milliseconds. */
  retryAfterMs?: number;
}

/**
 * Base of all errors: a stable SCREAMING_SNAKE code, a message that names the reference, and a remedy. A user, a password or a
 * query in the message or the details is left out ({@link hideCredentials}).
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

/** What somebody gave us is malformed: a reference, a digest, a manifest, a rule, a message. Never transient. */
export class InputError extends PromoterError {}

/** What we were set up with is missing or wrong: a setting, a key, a credential. */
export class ConfigurationError extends PromoterError {}

/** Bytes are not what their descriptor says: `DIGEST_MISMATCH`, `SIZE_MISMATCH`, `TOO_LARGE`. */
export class IntegrityError extends PromoterError {}

/** No answer came from the other side: `CONNECT_FAILED`, `TIMEOUT`, `STALLED`, `CONNECTION_CLOSED`. Transient unless told. */
export class TransportError extends PromoterError {
  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(code, message, { transient: true, ...options });
  }
}

export interface RegistryErrorInfo {
  method: string;
  /** Without userinfo and query. */
  url: string;
  status: number;
  /** The `code`s of the distribution specification's error body, in order. */
  registryCodes: string[];
  retryAfterMs?: number;
}

/** Whether an answer of this status may be another one later: too many, too slow, or broken. 501, 505 and 507 stay. */
function mayPass(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || (status >= 500 && ![501, 505, 507].includes(status));
}

/**
 * A registry answered, and the answer was no.
 * `code` is the first of the specification's codes where there is one (`MANIFEST_UNKNOWN`, `NAME_UNKNOWN`, `UNAUTHORIZED`,
 * `DENIED`, `TOOMANYREQUESTS`, …), otherwise `HTTP_<status>`.
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

  /** True where the thing that was asked for is not there (404). */
  get notFound(): boolean {
    return this.info.status === 404;
  }
}

/** Copying failed: `COPY_…`, `MANIFEST_LOST`, `REFERRER_LOST`, `TAG_LOST`, `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`, `GRAPH_CYCLE`. */
export class CopyError extends PromoterError {}

/** A signature or attestation is there and is not good: it was checked, and it failed. */
export class VerificationError extends PromoterError {}

/** Whether a signature is good could not be found out. What can't be decided is not passed. */
export class InconclusiveError extends PromoterError {}

/** A rule or a setting forbids it: `DESTINATION_TAKEN`, `COPY_BYPASSES_RULE`, `REGISTRY_NOT_ALLOWED`, … */
export class PolicyError extends PromoterError {}

/** Any thrown value as a code and a message; what is not ours is `INTERNAL`. */
export function describeError(error: unknown): SerializedError & { remedy?: string; transient: boolean } {
  if (error instanceof PromoterError) {
    return {
      ...error.toJSON(),
      transient: error.transient,
      ...(error.remedy !== undefined && { remedy: error.remedy }),
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'INTERNAL', message: hideCredentials(message), transient: true };
}

/** JSON with its texts, but for the names, mapped. */
function mapTexts<T>(value: T, map: (text: string) => string): T;
function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((entry: unknown) => mapTexts(entry, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, mapTexts(entry, map)]));
}
