// First: undici is evaluated after it.
import '../node-version.js';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { Agent, buildConnector, ProxyAgent, type Dispatcher } from 'undici';
import type { RequestKind } from './transport.js';
import { isLoopback } from './urls.js';

/** Until a connection stands, TLS included. Option `timeouts.connectMs`; `CONNECT_FAILED` */
const CONNECT_MS = 10_000;
/** From the request's last byte to the answer's first: a commit of a large blob takes its time. Option `timeouts.firstByteMs`; `TIMEOUT` */
const FIRST_BYTE_MS: Record<RequestKind, number> = { api: 30_000, bytes: 120_000 };
/** Between two pieces of a body, either way. Option `timeouts.stallMs`; `STALLED` */
const STALL_MS = 60_000;
/** Connections to one host for each kind of request. Option `connections` */
const CONNECTIONS = 64;

/** How connections are made. */
export interface DispatcherOptions {
  /** Milliseconds; the constants of this file say what they mean, and what they are by default. */
  timeouts?: { connectMs?: number; firstByteMs?: number; stallMs?: number };
  /** Connections to one host for each kind of request. */
  connections?: number;
  /** `http://host:port` through which everything but loopback goes. */
  proxy?: string;
  /** Certificates to trust besides the system's, PEM. */
  ca?: string | string[];
  /** Takes any certificate. Default: false. */
  insecure?: boolean;
  /** Where a host is to be found, by `host:port`: DNS is not asked about it, nor a proxy. */
  addresses?: ReadonlyMap<string, Address>;
  /** Shown to a registry that asks for one, and to no other host. */
  clientCertificate?: ClientCertificate;
  /** Whether an origin (`https://host`) is a registry that this client is for; by default none is. */
  isRegistry?: (origin: string) => boolean;
}

export interface Address {
  /** An IP address. */
  address: string;
  port: number;
}

/** Both PEM; the key without a password. */
export interface ClientCertificate {
  cert: string;
  key: string;
}

/**
 * What each kind offers by ALPN, as measured (docs/decisions/oci-transport.md): small requests cost half the CPU over one
 * HTTP/2 connection; bytes are a quarter faster with a connection for each stream.
 */
const OFFERS_HTTP2: Record<RequestKind, boolean> = { api: true, bytes: false };

/** Made once, not for each connection: reading all authorities takes some ten milliseconds, and megabytes. */
function createTrust({ ca }: DispatcherOptions, certificate: ClientCertificate | undefined): SecureContext {
  // Naming any authority would replace the built-in ones.
  return createSecureContext({
    ...(ca !== undefined && { ca: [...rootCertificates, ...[ca].flat()] }),
    ...certificate,
  });
}

/** Goes to the address that a host was given, under the host's own name. */
function connectorTo(addresses: ReadonlyMap<string, Address>, tls: buildConnector.BuildOptions) {
  const connect = buildConnector(tls);
  return (options: buildConnector.Options, callback: buildConnector.Callback): void => {
    const found = addresses.get(addressKey(options.protocol, options.hostname, options.port));
    connect({ ...options, ...(found && { hostname: found.address, port: String(found.port) }) }, callback);
  };
}

function addressKey(protocol: string, hostname: string, port: string): string {
  return `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
}

/** How one dispatcher's connections are made; trust is undefined where none is over TLS. */
interface Way {
  trust: SecureContext | undefined;
  proxy?: { uri: string; trust: SecureContext };
}

function createDispatcher(kind: RequestKind, options: DispatcherOptions, { trust, proxy }: Way): Dispatcher {
  const connectMs = options.timeouts?.connectMs ?? CONNECT_MS;
  const allowH2 = OFFERS_HTTP2[kind];
  const common = {
    allowH2,
    connections: options.connections ?? CONNECTIONS,
    headersTimeout: options.timeouts?.firstByteMs ?? FIRST_BYTE_MS[kind],
    bodyTimeout: options.timeouts?.stallMs ?? STALL_MS,
    connectTimeout: connectMs,
  };
  const tls = {
    ...(options.insecure === true && { rejectUnauthorized: false }),
    timeout: connectMs,
  };
  const requestTls = { ...tls, ...(trust !== undefined && { secureContext: trust }) };
  if (proxy !== undefined) {
    return new ProxyAgent({ ...common, uri: proxy.uri, requestTls, proxyTls: { ...tls, secureContext: proxy.trust } });
  }
  const { addresses } = options;
  const connect = addresses === undefined ? requestTls : connectorTo(addresses, { ...requestTls, allowH2 });
  return new Agent({ ...common, connect });
}

export interface Dispatchers {
  for(kind: RequestKind, url: URL): Dispatcher;
  close(): Promise<void>;
}

/** Connections are shared by what may go over the same ones: a kind, a proxy or none, and whether a certificate is shown. */
export function createDispatchers(options: DispatcherOptions): Dispatchers {
  const dispatchers = new Map<string, Dispatcher>();
  const trusts = new Map<ClientCertificate | undefined, SecureContext>();
  const trustFor = (certificate: ClientCertificate | undefined): SecureContext => {
    const trust = trusts.get(certificate) ?? createTrust(options, certificate);
    trusts.set(certificate, trust);
    return trust;
  };
  const proxyFor = (url: URL): string | undefined => {
    const isGivenAddress = options.addresses?.has(addressKey(url.protocol, url.hostname, url.port)) === true;
    return isGivenAddress || isLoopback(url.hostname) ? undefined : options.proxy;
  };
  return {
    for: (kind, url) => {
      const proxy = proxyFor(url);
      const isSecure = url.protocol === 'https:' || proxy !== undefined;
      const shown = options.isRegistry?.(url.origin) === true ? options.clientCertificate : undefined;
      const key = `${kind} ${String(isSecure)} ${String(shown !== undefined)} ${proxy ?? ''}`;
      let dispatcher = dispatchers.get(key);
      if (dispatcher === undefined) {
        dispatcher = createDispatcher(kind, options, {
          trust: isSecure ? trustFor(shown) : undefined,
          ...(proxy !== undefined && { proxy: { uri: proxy, trust: trustFor(undefined) } }),
        });
        dispatchers.set(key, dispatcher);
      }
      return dispatcher;
    },
    close: async () => {
      await Promise.all([...dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
      dispatchers.clear();
    },
  };
}
