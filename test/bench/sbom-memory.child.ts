// Makes the SBOM of an image of one plain layer of BYTES, whose files are pseudo-random and which is made while it is read.
// usage: sbom-memory.child.ts BYTES
import { createHash, randomBytes } from 'node:crypto';
import { createStreamingSbomGenerator } from 'acr-promoter/sbom';

const layerBytes = Number(process.argv[2]);
const FILE_BYTES = 1024 * 1024;
const content = randomBytes(FILE_BYTES);

function header(name: string, size: number): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000644\0', 100);
  block.write(`${size.toString(8).padStart(11, '0')} `, 124);
  block.write('0', 156);
  block.write('ustar\x0000', 257, 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

async function* archive(): AsyncGenerator<Uint8Array> {
  for (let bytes = 0, file = 0; bytes < layerBytes; bytes += 512 + FILE_BYTES, file += 1) {
    yield header(`folder${file % 100}/file${file}`, FILE_BYTES);
    // Each file begins with other bytes.
    const start = (file * 7919) % FILE_BYTES;
    yield content.subarray(start);
    yield content.subarray(0, start);
    if (file % 8 === 0) await new Promise(setImmediate);
  }
  yield Buffer.alloc(1024);
}

const digest = `sha256:${createHash('sha256').update(String(layerBytes)).digest('hex')}` as const;
const config = Buffer.from('{"architecture":"amd64","os":"linux"}');
const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1000 };
const ofConfig = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: config.length };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: layerBytes };
await createStreamingSbomGenerator().generate({
  name: 'localhost:5000/large',
  descriptor,
  manifest: { kind: 'image', mediaType: descriptor.mediaType, config: ofConfig, layers: [layer] },
  signal: AbortSignal.timeout(3_600_000),
  openBlob: ({ mediaType }) =>
    Promise.resolve(
      mediaType === layer.mediaType
        ? archive()
        : (async function* () {
            yield config;
          })(),
    ),
});
