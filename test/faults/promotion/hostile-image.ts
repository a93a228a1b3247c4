import { createHash } from 'node:crypto';
import { Readable, type Transform } from 'node:stream';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import type { Descriptor, Repository } from '../../../src/oci/index.js';
import { lyingSqliteDatabase } from '../../support/rpm-databases.js';
import { END, header } from '../../unit/sbom/raw-tar.js';
import { pushBlob, pushImage, tarHeader, tarPadding } from './large.js';

// An image whose layers are small to download and expensive to read.

const ENTRIES_AT_ONCE = 1000;
const ZEROS = Buffer.alloc(1024 * 1024);

export interface HostileSize {
  entries: number;
  /** MiB of the file of zeros in the gzip layer; the zstd layer has the same. Together they must stay below `freeUnpackedBytes`. */
  zeros: number;
}

/** Files, links and whiteouts, in many folders. */
function* manyEntries(count: number): Generator<Buffer> {
  for (let from = 0; from < count; from += ENTRIES_AT_ONCE) {
    const headers = Array.from({ length: Math.min(ENTRIES_AT_ONCE, count - from) }, (_, at) => {
      const index = from + at;
      const kind = index % 4;
      const name = `d${index % 997}/e${index % 31}/${kind === 3 ? '.wh.' : ''}f${index}`;
      return kind === 1 ? header({ name, type: '2', link: `../f${index - 1}` }) : header({ name });
    });
    yield Buffer.concat(headers);
  }
  yield END;
}

function* oneFile(name: string, pieces: readonly Buffer[]): Generator<Buffer> {
  const size = pieces.reduce((total, { length }) => total + length, 0);
  yield tarHeader(name, size);
  yield* pieces;
  yield tarPadding(size);
}

async function pushLayer(
  repository: Repository,
  compression: 'gzip' | 'zstd',
  archive: Generator<Buffer>,
): Promise<{ layer: Descriptor; diffId: string }> {
  const hash = createHash('sha256');
  const packed: Buffer[] = [];
  const packer: Transform =
    compression === 'gzip'
      ? createGzip({ level: 1 })
      : createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
  const hashed = function* (): Generator<Buffer> {
    for (const piece of archive) {
      hash.update(piece);
      yield piece;
    }
  };
  for await (const bytes of Readable.from(hashed()).pipe(packer)) packed.push(bytes as Buffer);
  const layer = await pushBlob(
    repository,
    `application/vnd.oci.image.layer.v1.tar+${compression}`,
    Buffer.concat(packed),
  );
  return { layer, diffId: `sha256:${hash.digest('hex')}` };
}

/**
 * Pushes an image of four layers: a database that lies about its rows, very many entries, a file of zeros in gzip, and one in zstd
 * with the widest window.
 */
export async function pushHostileImage(repository: Repository, { entries, zeros }: HostileSize): Promise<Descriptor> {
  const empty = Array.from({ length: zeros }, () => ZEROS);
  const pushed = [
    await pushLayer(repository, 'gzip', oneFile('var/lib/rpm/rpmdb.sqlite', [lyingSqliteDatabase()])),
    await pushLayer(repository, 'gzip', manyEntries(entries)),
    await pushLayer(repository, 'gzip', oneFile('data/gzip', empty)),
    await pushLayer(repository, 'zstd', oneFile('data/zstd', empty)),
  ];
  const layers = pushed.map(({ layer }) => layer);
  return pushImage(
    repository,
    layers,
    'v1',
    pushed.map(({ diffId }) => diffId),
  );
}
