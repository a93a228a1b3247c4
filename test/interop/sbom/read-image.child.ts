// Run with the compiled sources: makes the SBOM of a generated image in a real thread, and prints what it cost.
// usage: node read-image.child.ts ENTRIES LIMITS FILLER_BYTES [TIMES]
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createGzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { createStreamingSbomGenerator } from 'acr-promoter/sbom';
import { digestOf } from 'acr-promoter/oci';

const [entries = '0', limits = '{}', fillerBytes = '0', times = '1'] = process.argv.slice(2);
const BATCH = 1000;

function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000644\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')} `, 124);
  block.write('0', 156);
  block.write('ustar\x0000', 257);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function* layer(count: number): Generator<Buffer> {
  const manifest = Buffer.from('{"name":"a","version":"1.0.0"}');
  yield Buffer.concat([header('node_modules/a/package.json', manifest.length), manifest, Buffer.alloc(512 - 30)]);
  for (let from = 0; from < count; from += BATCH)
    yield Buffer.concat(Array.from({ length: BATCH }, (_, at) => header(`folder-${from}/file-${at}`, 0)));
  const filler = Number(fillerBytes);
  if (filler > 0) yield Buffer.concat([header('filler', filler), randomBytes(filler)]);
  yield Buffer.alloc(1024);
}

let threads = 0;
process.on('worker', () => (threads += 1));
const packed: Buffer[] = [];
for await (const bytes of Readable.from(layer(Number(entries))).pipe(createGzip({ level: 1 })))
  packed.push(bytes as Buffer);
const blob = Buffer.concat(packed);
const digest = digestOf(blob);
const delay = monitorEventLoopDelay({ resolution: 5 });
const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
let [longestMs, lastMs, isOver] = [0, cpuMs(), false];
const tick = (): void => {
  const now = cpuMs();
  longestMs = Math.max(longestMs, now - lastMs);
  lastMs = now;
  if (!isOver) setTimeout(tick, 1);
};
tick();
delay.enable();
const startedMs = performance.now();
const generator = createStreamingSbomGenerator({ limits: JSON.parse(limits) as object });
const generate = () =>
  generator.generate({
    name: 'registry.example/app',
    descriptor: { mediaType: 'm', digest, size: 1 },
    manifest: {
      kind: 'image',
      mediaType: 'm',
      config: { mediaType: 'c', digest: `sha256:${'c'.repeat(64)}`, size: 2 },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: blob.length }],
    },
    signal: new AbortController().signal,
    openBlob: async (asked: { digest: string }) =>
      asked.digest === digest ? Readable.from(piecesOf(blob)) : Readable.from([Buffer.from('{}')]),
  });
for (let time = 1; time < Number(times); time += 1) await generate();
const result = await generate().then(
  ([sbom]) => ({ counts: sbom?.counts }),
  (error: { code?: string; details?: object }) => ({ code: error.code, details: error.details }),
);
isOver = true;
delay.disable();
process.stdout.write(
  JSON.stringify({
    ...result,
    threads,
    tookMs: performance.now() - startedMs,
    longestMs,
    p99Ms: delay.percentile(99) / 1e6,
    maxMs: delay.max / 1e6,
    peakMegabytes: process.resourceUsage().maxRSS / 1024,
  }),
);

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}
