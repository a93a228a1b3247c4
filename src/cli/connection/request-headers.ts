import { validateHeaderName, validateHeaderValue } from 'node:http';
import { InputError } from '../../oci/index.js';

/** Headers of the connection itself. Go ignores them in --header, too. */
const OF_THE_CONNECTION = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The message does not repeat the header, which may hold a secret. */
function invalid(cause?: unknown): InputError {
  return new InputError('OPTION_INVALID', 'invalid header: it is not written as `name: value`', {
    ...(cause !== undefined && { cause }),
  });
}

/** Parses the values of `--header`; names in lower case, values of one name joined. @throws InputError `OPTION_INVALID` */
export function parseHeaders(flags: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const flag of flags) {
    const colon = flag.indexOf(':');
    if (colon < 1) throw invalid();
    const [name, value] = [flag.slice(0, colon).toLowerCase(), flag.slice(colon + 1).trim()];
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      // Not kept as the cause: the message of this error repeats the value, which may be a secret.
      throw invalid();
    }
    if (OF_THE_CONNECTION.has(name)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return headers;
}
