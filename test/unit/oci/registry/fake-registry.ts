import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface FakeRegistry {
  host: string;
  /** Received requests as `METHOD /path`. */
  seen: string[];
  /** Manifests by tag and by digest. */
  manifests: Map<string, { type: string; bytes: Buffer }>;
}

export interface FakeOptions {
  /** Answers instead of the registry. Returns true if it has answered. */
  intercept?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean | Promise<boolean>;
  /** Whether tags have ETags and PUT checks If-Match. */
  ifMatch?: boolean;
  /** Called after a PUT has arrived and before it takes effect. */
  beforePut?: (tagOrDigest: string) => Promise<void>;
}

/** A registry with manifests only and without the referrers API, for tests in which the order of requests varies. */
export async function withFakeRegistry(
  options: FakeOptions,
  run: (registry: FakeRegistry) => Promise<void>,
): Promise<void> {
  const manifests: FakeRegistry['manifests'] = new Map();
  const seen: string[] = [];
  const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '' } = request;
    const body = await buffer(request);
    seen.push(`${method} ${url}`);
    if ((await options.intercept?.(request, response, body)) === true) return;
    const target = /^\/v2\/a\/manifests\/(.+)$/.exec(url)?.[1];
    const found = target === undefined ? undefined : manifests.get(target);
    const etag = (bytes: Buffer): Record<string, string> =>
      options.ifMatch === true ? { etag: `"${digestOf(bytes)}"` } : {};
    if (target !== undefined && method === 'PUT') {
      await options.beforePut?.(target);
      const now = manifests.get(target);
      const wanted = request.headers['if-match'];
      if (
        options.ifMatch === true &&
        wanted !== undefined &&
        (now === undefined || wanted !== `"${digestOf(now.bytes)}"`)
      ) {
        response.writeHead(412).end();
        return;
      }
      const manifest = { type: request.headers['content-type'] ?? '', bytes: body };
      manifests.set(target, manifest);
      manifests.set(digestOf(body), manifest);
      response.writeHead(201, { 'docker-content-digest': digestOf(body) }).end();
    } else if (target !== undefined && method === 'DELETE') {
      for (const [key, { bytes }] of manifests) if (digestOf(bytes) === target) manifests.delete(key);
      response.writeHead(found === undefined ? 404 : 202).end();
    } else if (found !== undefined) {
      response.writeHead(200, {
        'content-type': found.type,
        'content-length': found.bytes.length,
        'docker-content-digest': digestOf(found.bytes),
        ...etag(found.bytes),
      });
      response.end(method === 'HEAD' ? undefined : found.bytes);
    } else {
      response.writeHead(404).end();
    }
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  try {
    await run({ host: `localhost:${(server.address() as AddressInfo).port}`, seen, manifests });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
