// One kind of request, many times, over one version of HTTP: what send.ts chooses between. The library alone, as send.ts sets it up.
// usage: http-version.child.ts 1.1|2 KIND TIMES URL CA_FILE
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher } from 'undici';

const [, , version = '', kind = '', times = '', base = '', caFile = ''] = process.argv;
const AT_ONCE = 32;
const SMALL_BYTES = 4096;
const agent = new Agent({ allowH2: version === '2', connections: 64, connect: { ca: readFileSync(caFile, 'utf8') } });

async function send(method: Dispatcher.HttpMethod, url: string, body?: Uint8Array): Promise<Dispatcher.ResponseData> {
  const { origin, pathname, search } = new URL(url, base);
  const response = await agent.request({
    origin,
    path: pathname + search,
    method,
    reset: false,
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    body: body ?? null,
  });
  if (response.statusCode >= 400) throw new Error(`${method} ${url}: ${response.statusCode}`);
  return response;
}

async function read(response: Dispatcher.ResponseData): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) hash.update(chunk);
}

async function upload(): Promise<void> {
  const bytes = randomBytes(SMALL_BYTES);
  const session = await send('POST', `${base}/blobs/uploads/`, new Uint8Array());
  await read(session);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await read(await send('PUT', `${String(session.headers.location)}&digest=${encodeURIComponent(digest)}`, bytes));
}

const kinds: Record<string, () => Promise<void>> = {
  head: async () => read(await send('HEAD', `${base}/manifests/v1`)),
  manifest: async () => read(await send('GET', `${base}/manifests/v1`)),
  upload,
  // The layers are one after another in the manifest; each is read once.
  layers: async () => read(await send('GET', `${base}/blobs/${layers.pop() ?? ''}`)),
};
let layers: string[] = [];
if (kind === 'layers') {
  const { body } = await send('GET', `${base}/manifests/v1`);
  const manifest = (await body.json()) as { layers: { digest: string }[] };
  layers = manifest.layers.map(({ digest }) => digest);
}
const work = kinds[kind];
if (work === undefined) throw new Error(`there is no ${kind}`);
let left = Number(times);
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  }),
);
await agent.destroy();
