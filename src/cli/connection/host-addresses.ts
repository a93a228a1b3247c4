import { isIPv4 } from 'node:net';
import { InputError, type Address, quoted } from '../../oci/index.js';

/** `host:port:address[:port]` as many times as `--resolve` was given; the last one for a host counts. @throws InputError `OPTION_INVALID` */
export function parseAddresses(flags: readonly string[]): Map<string, Address> {
  const addresses = new Map<string, Address>();
  for (const flag of flags) {
    const [host = '', port = '', address = '', toPort = port, ...more] = flag.split(':');
    const arePorts = [port, toPort].every((text) => /^\d{1,5}$/.test(text) && Number(text) < 65_536);
    if (host === '' || !arePorts || !isIPv4(address) || more.length > 0) {
      throw new InputError('OPTION_INVALID', `failed to parse resolve flag ${quoted(flag)}`, {
        remedy: 'Write it as host:port:address[:port], with an IPv4 address.',
      });
    }
    addresses.set(`${host.toLowerCase()}:${Number(port)}`, { address, port: Number(toPort) });
  }
  return addresses;
}
