import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Linux gives the ports from 32768 on to connections that go out: there, a port that was free may be somebody's a moment later. */
const LOWEST = 15_000;
const HIGHEST = 30_000;

const given = new Set<number>();

/** A port of 127.0.0.1 on which nothing listens, and each time another: it stays free until its server starts, and while that is down. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
