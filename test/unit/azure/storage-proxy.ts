import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StorageProxy {
  /** The connection string with this proxy in front of one service. */
  connectionString: string;
  /** The next request with this method reaches the service, but its answer is lost. */
  loseAnswerTo(method: string): void;
  readonly lost: number;
  stop(): void;
}

/** A proxy between the SDK and one of Azurite's services that can lose answers. */
export async function startStorageProxy(
  connectionString: string,
  service: 'Blob' | 'Queue' | 'Table',
): Promise<StorageProxy> {
  const endpoint = new RegExp(`${service}Endpoint=(http://[^/;]+)`).exec(connectionString)?.[1] ?? '';
  let losing: string | undefined;
  let lost = 0;
  const server = createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    const onward = forward(new URL(url, endpoint), { method, headers }, (answer) => {
      if (losing === method) {
        losing = undefined;
        lost += 1;
        answer.resume().once('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    onward.once('error', () => request.socket.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    connectionString: connectionString.replace(endpoint, `http://127.0.0.1:${port}`),
    loseAnswerTo(method) {
      losing = method;
    },
    get lost() {
      return lost;
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
