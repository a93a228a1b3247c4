import { zstdDecompressSync } from 'node:zlib';
import { parseObject } from '../../../oci/index.js';
import { isUsable, type Package } from '../cataloger.js';
import { listedDigest } from '../file-digests.js';
import { linesOf } from '../lines.js';
import { Skips } from '../skips.js';
import { TextRoom } from '../text-room.js';

const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** Unpacked bytes. Real manifests have less than a megabyte. */
const MOST_BYTES = 64 * 1024 * 1024;
const LONGEST_LINE = 64 * 1024;
const MOST_PACKAGES = 100_000;

type Owner = Package & Required<Pick<Package, 'owns' | 'digests'>>;

export function isWall(head: Uint8Array): boolean {
  return MAGIC.equals(head.subarray(0, MAGIC.length));
}

/**
 * The packages of chisel's manifest (`manifest.wall`): lines of JSON, packed with zstd. The first one states how many
 * there are.
 * @see https://github.com/canonical/chisel/blob/v1.1.0/public/manifest/manifest.go
 */
export function readWall(packed: Uint8Array): { packages: Package[]; skips: Skips } {
  const [skips, room] = [new Skips(), new TextRoom()];
  const packages = new Map<string, Owner>();
  const paths: { path: string; digest: string; names: string[] }[] = [];
  let [count, stated] = [0, -1];
  for (const line of linesOf(unpack(packed))) {
    count += 1;
    const json = line.length > LONGEST_LINE ? undefined : parseObject(line);
    if (json === undefined) skips.add('lines that are not JSON, or too long');
    else if (count === 1) stated = typeof json.count === 'number' ? json.count : -1;
    else if (json.kind === 'package') {
      const found = toPackage(json);
      if (found === undefined) skips.add('entries without name or version');
      else if (packages.size === MOST_PACKAGES && !packages.has(found.name)) skips.add('packages beyond the limit');
      else packages.set(found.name, found);
    } else if (json.kind === 'path' && typeof json.path === 'string' && !json.path.endsWith('/')) {
      const names = [...new Set(slicesOf(json).map((slice) => slice.slice(0, slice.lastIndexOf('_'))))];
      // A script of chisel may have changed the file that the package has.
      const digest = listedDigest([json.final_sha256, json.sha256].find(isUsable) ?? '');
      if (room.take(json.path.length + digest.length + names.join('').length))
        paths.push({ path: json.path, digest, names });
      else skips.add('paths that take too much room');
    }
  }
  if (count !== stated) skips.note('the manifest is not whole');
  for (const { path, digest, names } of paths)
    for (const owner of names.map((name) => packages.get(name))) {
      owner?.owns.push(path);
      owner?.digests.push(digest);
    }
  return { packages: [...packages.values()], skips };
}

function slicesOf({ slices }: Record<string, unknown>): string[] {
  return Array.isArray(slices) ? slices.filter(isUsable) : [];
}

function toPackage({ name, version, arch, sha256 }: Record<string, unknown>): Owner | undefined {
  if (!isUsable(name) || !isUsable(version)) return undefined;
  const hasHash = typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
  return {
    type: 'deb',
    name,
    version,
    ...(isUsable(arch) && { qualifiers: { arch } }),
    ...(hasHash && { hashes: [{ algorithm: 'SHA-256', hex: sha256 }] }),
    owns: [],
    digests: [],
  };
}

/** A file that ends too early unpacks to fewer lines in Node 22, and is an error in Node 24. */
function unpack(packed: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(packed, { maxOutputLength: MOST_BYTES });
  } catch {
    return new Uint8Array(0);
  }
}
