import type { Command } from 'commander';
import { RegistryError, TransportError } from '../../oci/index.js';
import { causeOf } from '../errors.js';

/** OpenSSL received bytes that are no TLS record: the server answered in plain HTTP. */
const NOT_A_TLS_RECORD = /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/;

/**
 * Names the flag to use if a registry was asked by HTTPS and speaks plain HTTP, or the other way round. Any other error stays as it is.
 * @param command the one that failed: it has `--plain-http`, or `--from-plain-http` and `--to-plain-http`
 */
export function explainPlainHttp(error: unknown, command: Command, operands: readonly string[]): unknown {
  const transport = causeOf(error, TransportError);
  if (transport !== undefined && hasCause(transport, NOT_A_TLS_RECORD)) {
    const { host } = new URL(String(transport.details.url));
    return new TransportError(transport.code, `${host} speaks plain HTTP, and was asked by HTTPS`, {
      cause: error,
      details: transport.details,
      transient: false,
      remedy: `Add ${flagFor(host, command, operands)}.`,
    });
  }
  const refused = causeOf(error, RegistryError);
  if (refused?.info.status === 400 && refused.info.url.startsWith('http:')) {
    const { host } = new URL(refused.info.url);
    return new RegistryError(refused.message, refused.info, {
      code: refused.code,
      cause: error,
      remedy: `If ${host} uses HTTPS, add ${flagFor(host, command, operands)}=false.`,
    });
  }
  if (transport === undefined || transport.remedy !== undefined) return error;
  const { url } = transport.details;
  if (typeof url === 'string' && url.startsWith('http:') && gotNothing(transport)) {
    const { host } = new URL(url);
    return new TransportError(transport.code, transport.message, {
      cause: error,
      details: transport.details,
      transient: transport.transient,
      remedy: `If ${host} uses HTTPS, add ${flagFor(host, command, operands)}=false.`,
    });
  }
  return error;
}

/** True if the server closed the connection and sent nothing: some HTTPS servers do that when asked by HTTP. */
function gotNothing({ cause }: TransportError): boolean {
  const { socket } = (cause ?? {}) as { socket?: { bytesRead?: number } };
  return socket?.bytesRead === 0;
}

function hasCause({ details }: TransportError, pattern: RegExp): boolean {
  return Array.isArray(details.causes) && details.causes.some((code) => typeof code === 'string' && pattern.test(code));
}

/** For a command with two sides, the flag of the side whose operand names the host. */
function flagFor(host: string, command: Command, operands: readonly string[]): string {
  if (command.options.some(({ long }) => long === '--plain-http')) return '--plain-http';
  return operands[0]?.startsWith(`${host}/`) === true ? '--from-plain-http' : '--to-plain-http';
}
