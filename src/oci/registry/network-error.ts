import { isRecord } from '../descriptor.js';
import { IntegrityError, PromoterError, TransportError, type ErrorOptions } from '../errors.js';

interface Where {
  method: string;
  url: string;
  signal?: AbortSignal | undefined;
}

function codesOf(error: unknown, depth = 0): string[] {
  if (!isRecord(error) || depth > 4) return [];
  // undici gives a proxy's refusal no code.
  const refusal = typeof error.message === 'string' && error.message.startsWith('Proxy response');
  const own = refusal ? ['PROXY_REFUSED'] : typeof error.code === 'string' ? [error.code] : [];
  // If several addresses were tried, each has its own error.
  const inner: unknown[] = Array.isArray(error.errors) ? error.errors : [];
  return [...own, ...[error.cause, ...inner].flatMap((cause) => codesOf(cause, depth + 1))];
}

/**
 * Node's error codes for a certificate that is not trusted.
 * @see https://nodejs.org/docs/latest-v22.x/api/tls.html#x509-certificate-error-codes
 */
const UNTRUSTED =
  /^(?:CERT_|CRL_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERROR_IN_C|INVALID_(?:CA|PURPOSE)$|PATH_LENGTH_EXCEEDED$|HOSTNAME_MISMATCH$)/;
const NOT_TLS = /^(?:EPROTO|ERR_SSL_)/;
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
  'PROXY_REFUSED',
  'UND_ERR_PRX_TLS',
  'UND_ERR_PRX_CONN',
  'ETIMEDOUT',
]);
/** Codes that can also occur after the connection was open, when the request may have been sent. */
const ALSO_LATER = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']);

/**
 * Converts an error of undici. An abort by the caller and our own errors (a source that failed during an upload) are
 * returned unchanged.
 */
export function transportErrorFrom(cause: unknown, where: Where): unknown {
  if (where.signal?.aborted === true) return where.signal.reason;
  if (cause instanceof PromoterError) return cause;
  const codes = codesOf(cause);
  const what = `${where.method} ${where.url}`;
  const details = { method: where.method, url: where.url, ...(codes.length > 0 && { causes: codes }) };
  const is = (code: string): boolean => codes.includes(code);
  const untrusted = codes.find((code) => UNTRUSTED.test(code));
  const fail = (code: string, why: string, more: ErrorOptions = {}): TransportError =>
    new TransportError(code, `${what}: ${why}`, { cause, details, ...more });
  if (untrusted !== undefined) {
    const remedy = "Configure the registry's certificate authority (--ca-file), or correct the host name.";
    return fail('CONNECT_FAILED', `the certificate is not trusted (${untrusted})`, { transient: false, remedy });
  }
  if (codes.some((code) => NOT_TLS.test(code))) {
    const remedy =
      'If the registry uses plain HTTP, add --plain-http; if it requires a client certificate, add --cert-file and --key-file.';
    return fail('CONNECT_FAILED', `TLS could not be set up (${codes.join(', ')})`, { transient: false, remedy });
  }
  const unreachable = codes.find((code) => UNREACHABLE.has(code));
  if (unreachable !== undefined) {
    const remedy = 'Check the host name and port, and that the registry is running and reachable from here.';
    const error = fail('CONNECT_FAILED', `no connection (${unreachable})`, { remedy });
    return ALSO_LATER.has(unreachable) ? error : markUnsent(error);
  }
  if (is('UND_ERR_HEADERS_TIMEOUT')) return fail('TIMEOUT', 'no response in time');
  if (is('UND_ERR_BODY_TIMEOUT')) return fail('STALLED', 'the response stalled');
  if (is('UND_ERR_REQ_CONTENT_LENGTH_MISMATCH')) {
    const why = 'the request body does not have the announced length';
    return new IntegrityError('SIZE_MISMATCH', `${what}: ${why}`, { cause, details });
  }
  if (is('UND_ERR_DESTROYED') || is('UND_ERR_CLOSED')) {
    return fail('CONNECTION_CLOSED', 'the client is closed', { transient: false });
  }
  return fail('CONNECTION_CLOSED', `the connection broke (${codes.join(', ') || String(cause)})`);
}

const unsent = new WeakSet<object>();

/** Marks an error that occurred before the request was sent: any method may be retried. */
export function markUnsent<T>(error: T): T {
  if (typeof error === 'object' && error !== null) unsent.add(error);
  return error;
}

/** Removes the mark: the error came from the body's source while the body was sent. */
export function markSent<T>(error: T): T {
  if (typeof error === 'object' && error !== null) unsent.delete(error);
  return error;
}

/** True if the error occurred before the request was sent. */
export function isUnsent(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unsent.has(error);
}
