import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigurationError } from '../../src/oci/index.js';

/** Tries to listen on a port; undefined if it is in use. 0: any port. */
function tryPort(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      // There is no IPv6 here, so nobody can use the port.
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve(port);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}

/** A port that the user chose: its purpose and its option. */
export interface WantedPort {
  port: number;
  what: string;
  option: string;
}

/** @throws ConfigurationError `PORT_IN_USE`, with each port that is in use and the option that changes it */
export async function requireFreePorts(wanted: readonly WantedPort[]): Promise<void> {
  const problems: string[] = [];
  const options: string[] = [];
  for (const [index, { port, what, option }] of wanted.entries()) {
    const other = wanted.slice(0, index).find((each) => each.port === port);
    if (other !== undefined) problems.push(`port ${port} is set for both the ${other.what} and the ${what}`);
    else if (!(await isFree(port))) problems.push(`port ${port} of the ${what} is in use`);
    else continue;
    options.push(option);
  }
  if (problems.length === 0) return;
  throw new ConfigurationError('PORT_IN_USE', problems.join('; '), {
    remedy: `Choose another port with ${options.join(' and ')}, or stop the program that uses it.`,
  });
}

async function isFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '::1']) {
    if ((await tryPort(port, host)) === undefined) return false;
  }
  return true;
}

const notedSchema = z.object({ blob: z.number(), queue: z.number(), table: z.number(), identity: z.number() });
type InnerPorts = z.infer<typeof notedSchema>;

/** Free ports that no client uses directly. They are stored in the data folder and reused if they are still free. */
export async function innerPorts(dataDir: string): Promise<InnerPorts> {
  const file = join(dataDir, 'ports.json');
  let noted: InnerPorts | undefined;
  try {
    noted = notedSchema.safeParse(JSON.parse(await readFile(file, 'utf8'))).data;
  } catch {
    // The first start, or a file that was cut off. Other ports work as well.
  }
  const taken = new Set<number>();
  const take = async (wanted: number | undefined): Promise<number> => {
    for (let tries = 0; ; tries += 1) {
      const port = await tryPort(tries === 0 ? (wanted ?? 0) : 0, '127.0.0.1');
      if (port === undefined || taken.has(port)) continue;
      taken.add(port);
      return port;
    }
  };
  const ports = {
    blob: await take(noted?.blob),
    queue: await take(noted?.queue),
    table: await take(noted?.table),
    identity: await take(noted?.identity),
  };
  await writeFile(file, JSON.stringify(ports));
  return ports;
}
