import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

let answer: RequestListener = (_, response) => response.end();
const server = createServer((request, response) => {
  // An open connection would keep the process alive.
  response.setHeader('connection', 'close');
  answer(request, response);
}).unref();

/**
 * App Service's identity endpoint, as far as the SDK uses it, and the variables that name it. There is one for the whole process, since
 * the SDK keeps the first that it sees.
 */
export async function serveIdentity(listener: RequestListener): Promise<void> {
  answer = listener;
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
  process.env['IDENTITY_ENDPOINT'] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/msi/token`;
  process.env['IDENTITY_HEADER'] = 'header-secret';
}
