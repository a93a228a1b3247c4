import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigurationError, PromoterError } from '../../../src/oci/index.js';
import { refusedAsForeign } from '../../own-site.js';
import { describe, log } from '../log.js';
import { problem, toHostRequest } from './exchange.js';
import type { HostReply, HostRequest } from './exchange.js';

export interface HostServer {
  port: number;
  /** Sets the handler of all requests. Before that, the answer is 503. */
  setHandler(handler: (request: HostRequest) => Promise<HostReply>): void;
  /** Accepts no new connection and waits up to `graceMs` for the open ones. */
  close(graceMs: number): Promise<void>;
}

async function starting(_request: HostRequest): Promise<HostReply> {
  return problem(503, 'the host is starting');
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  return (server.address() as AddressInfo).port;
}

/**
 * Listens on 127.0.0.1 and, if available, on ::1, never on an address that other machines can reach.
 * @param port 0: any free one
 * @throws ConfigurationError `PORT_IN_USE`
 */
export async function startServer(port: number): Promise<HostServer> {
  let handler = starting;
  let authority = 'localhost';
  const make = () =>
    createServer((request, response) => {
      void (async () => {
        let reply: HostReply;
        try {
          const refused = refusedAsForeign(request);
          if (refused === undefined) reply = await handler(toHostRequest(request, authority));
          else {
            reply = problem(403, refused);
            reply.headers = { ...reply.headers, connection: 'close' };
          }
        } catch (error) {
          const isTooLarge = error instanceof PromoterError && error.code === 'BODY_TOO_LARGE';
          log(
            isTooLarge ? 'warning' : 'error',
            'http',
            `${request.method} ${request.url?.split('?')[0]}: ${describe(error)}`,
          );
          // The error goes to the log and not to the client, as in the real host.
          reply = { status: isTooLarge ? 413 : 500, headers: { connection: 'close' } };
        }
        response.writeHead(reply.status, reply.headers);
        response.end(request.method === 'HEAD' ? undefined : reply.body);
      })().catch((error: unknown) => {
        log('error', 'http', describe(error));
        response.destroy();
      });
    });
  const first = make();
  const servers = [first];
  let actual: number;
  try {
    actual = await listen(first, port, '127.0.0.1');
  } catch (error) {
    const isInUse = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    throw new ConfigurationError(isInUse ? 'PORT_IN_USE' : 'LISTEN_FAILED', `cannot listen on port ${port}`, {
      cause: error,
      remedy: 'Stop the program that uses it, or choose another port with --port.',
    });
  }
  authority = `localhost:${actual}`;
  try {
    const second = make();
    await listen(second, actual, '::1');
    servers.push(second);
  } catch (error) {
    log('debug', 'http', `not on ::1: ${String(error)}`);
  }
  return {
    port: actual,
    setHandler(given) {
      handler = given;
    },
    async close(graceMs) {
      const closing = servers.map(
        async (server) =>
          await new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeIdleConnections();
          }),
      );
      const timer = setTimeout(() => servers.forEach((server) => server.closeAllConnections()), graceMs);
      await Promise.all(closing);
      clearTimeout(timer);
    },
  };
}
