import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createStorage } from '../../../src/azure/storage.js';

export interface CreatedNames {
  containers: string[];
  queues: string[];
  tables: string[];
}

/** What the code itself makes in an account where it may: the names that it relies on. */
export async function createdNames(): Promise<CreatedNames> {
  const names: CreatedNames = { containers: [], queues: [], tables: [] };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
      const name = pathname.split('/').at(-1) ?? '';
      if (name === 'Tables') names.tables.push((JSON.parse(body) as { TableName: string }).TableName);
      else if (searchParams.get('restype') === 'container') names.containers.push(name);
      else names.queues.push(name);
      response.writeHead(201, { 'content-type': 'application/json' }).end(name === 'Tables' ? body : undefined);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`;
    const key = Buffer.from('none').toString('base64');
    await createStorage({
      connectionString:
        `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${key};` +
        `BlobEndpoint=${address};QueueEndpoint=${address};TableEndpoint=${address};`,
    }).ensureCreated();
  } finally {
    server.closeAllConnections();
    server.close();
  }
  for (const list of Object.values(names) as string[][]) list.sort();
  return names;
}
