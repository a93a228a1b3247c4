// This import must come first, so that the check runs before undici is loaded.
import '../node-version.js';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { Agent, buildConnector, ProxyAgent, type Dispatcher } from 'undici';
import { getOrMake } from '../memo.js';
import type { RequestKind } from './transport.js';
import { isLoopback } from './urls.js';

/** Milliseconds to open a connection, including TLS. Option `timeouts.connectMs`; `CONNECT_FAILED` */
const CONNECT_MS = 10_000;
/**
 * Milliseconds from the last byte of a request to the first byte of its response; committing a large blob takes long.
 * Option `timeouts.firstByteMs`; `TIMEOUT`
 */
const FIRST_BYTE_MS: Record<RequestKind, number> = { api: 30_000, bytes: 120_000 };
/** Milliseconds between two chunks of a body, in both directions. Option `timeouts.stallMs`; `STALLED` */
const STALL_MS = 60_000;
/** Connections to one host, for each kind of request. Option `connections` */
const CONNECTIONS = 64;

/** Options for connections. */
export interface DispatcherOptions {
  /** Time limits in milliseconds. The constants of this file have their meaning and defaults. */
  timeouts?: { connectMs?: number; firstByteMs?: number; stallMs?: number };
  /** Maximum connections to one host for each kind of request. Default: 64. */
  connections?: number;
  /** HTTP proxy, `http://host:port`, for everything except loopback addresses. */
  proxy?: string;
  /** Additional trusted certificates, PEM. */
  ca?: string | string[];
  /** Accepts any certificate. Default: false. */
  insecure?: boolean;
  /** Addresses of hosts, by `host:port`. For these hosts, neither DNS nor a proxy is used. */
  addresses?: ReadonlyMap<string, Address>;
  /** Client certificate, which is presented only to registries. */
  clientCertificate?: ClientCertificate;
  /** Whether an origin (`https://host`) is a registry that this client is used for. Default: none is. */
  isRegistry?: (origin: string) => boolean;
}

/** The address of a host. */
export interface Address {
  /** An IP address. */
  address: string;
  port: number;
}

/** Certificate and key, both PEM; the key is not encrypted. */
export interface ClientCertificate {
  cert: string;
  key: string;
}

/**
 * Whether each kind offers HTTP/2. Measured in docs/decisions/oci-transport.md: small requests need half the CPU over
 * one HTTP/2 connection; large blobs are a quarter faster with one connection for each stream.
 */
const OFFERS_HTTP2: Record<RequestKind, boolean> = { api: true, bytes: false };

/**
 * Creates the trust store. It is created once and not for each connection, because reading all authorities takes about
 * ten milliseconds and megabytes of memory.
 */
function createTrust({ ca }: DispatcherOptions, certificate: ClientCertificate | undefined): SecureContext {
  // A custom CA replaces the built-in ones, so these are added again.
  return createSecureContext({
    ...(ca !== undefined && { ca: [...rootCertificates, ...[ca].flat()] }),
    ...certificate,
  });
}

/** Connects to the given address of a host, under the host's own name. */
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

/** How a dispatcher connects. `trust` is undefined if no connection uses TLS. */
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

/** Connections by kind of request and URL. */
export interface Dispatchers {
  for(kind: RequestKind, url: URL): Dispatcher;
  close(): Promise<void>;
}

/** Connections are shared between requests of the same kind, with the same proxy and the same client certificate. */
export function createDispatchers(options: DispatcherOptions): Dispatchers {
  const dispatchers = new Map<string, Dispatcher>();
  const trusts = new Map<ClientCertificate | undefined, SecureContext>();
  const trustFor = (certificate: ClientCertificate | undefined): SecureContext =>
    getOrMake(trusts, certificate, () => createTrust(options, certificate));
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
      return getOrMake(dispatchers, key, () =>
        createDispatcher(kind, options, {
          trust: isSecure ? trustFor(shown) : undefined,
          ...(proxy !== undefined && { proxy: { uri: proxy, trust: trustFor(undefined) } }),
        }),
      );
    },
    close: async () => {
      await Promise.all([...dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
      dispatchers.clear();
    },
  };
}
