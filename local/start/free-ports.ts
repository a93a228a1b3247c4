import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigurationError } from '../../src/oci/index.js';

/** Takes a port for a moment; undefined where it is in use. 0 takes any. */
function tryPort(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      // No IPv6 here: nobody can be in the way.
      else if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') resolve(port);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}

/** @throws ConfigurationError `PORT_IN_USE`, which names the option that changes it */
export async function requireFreePort(port: number, what: string, option: string): Promise<void> {
  for (const host of ['127.0.0.1', '::1']) {
    if ((await tryPort(port, host)) === undefined) {
      throw new ConfigurationError('PORT_IN_USE', `port ${port} of the ${what} is in use`, {
        remedy: `Stop what listens there, or choose another port with ${option}.`,
      });
    }
  }
}

const notedSchema = z.object({ blob: z.number(), queue: z.number(), table: z.number() });
export type AzuritePorts = z.infer<typeof notedSchema>;

/** Free ports for Azurite, noted in the data folder; the same again where they are still free. */
export async function azuritePorts(dataDir: string): Promise<AzuritePorts> {
  const file = join(dataDir, 'azurite-ports.json');
  const noted = await readFile(file, 'utf8').then(
    (text) => notedSchema.safeParse(JSON.parse(text)).data,
    () => undefined,
  );
  const take = async (wanted: number | undefined): Promise<number> =>
    (await tryPort(wanted ?? 0, '127.0.0.1')) ?? (await tryPort(0, '127.0.0.1')) ?? 0;
  const ports = { blob: await take(noted?.blob), queue: await take(noted?.queue), table: await take(noted?.table) };
  await mkdir(dataDir, { recursive: true });
  await writeFile(file, JSON.stringify(ports));
  return ports;
}
