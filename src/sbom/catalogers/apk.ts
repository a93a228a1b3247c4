import { LONGEST_NAME, packagesAt, type Cataloger, type Package, type Reading } from './cataloger.js';
import { listedDigest } from './file-digests.js';
import { nameOwners } from './file-dependencies.js';
import { linesOf } from './lines.js';
import { Skips } from './skips.js';
import { TextRoom } from './text-room.js';

/** Alpine, and distributions with a merged `/usr` (Wolfi, Chainguard). */
const DATABASE = /^(?:usr\/)?lib\/apk\/db\/installed$/;
/** Bytes of a line. The longest real ones list the 20,000 provided names of a firmware package. */
const LONGEST_LINE = 4 * 1024 * 1024;
const LONGEST_PATH = 4096;
const MOST_PACKAGES = 100_000;
/** A checksum: `Q1` with the SHA-1 in base64, `Q2` with the SHA-256. */
const CHECKSUM = /^Q([12])([A-Za-z0-9+/]+=*)$/;
const ALGORITHMS = { 1: { algorithm: 'SHA-1', bytes: 20 }, 2: { algorithm: 'SHA-256', bytes: 32 } } as const;

/** The lines of one package: values by letter, and the paths of its files with their digests. */
interface Entry {
  values: Map<string, string>;
  owns: string[];
  digests: string[];
}

function emptyEntry(): Entry {
  return { values: new Map(), owns: [], digests: [] };
}

function* entriesOf(bytes: Uint8Array, skips: Skips, room: TextRoom): Generator<Entry> {
  let entry = emptyEntry();
  let folder = '';
  /** Whether the last file is in the entry. */
  let isKept = false;
  for (const line of linesOf(bytes)) {
    if (line.length === 0) {
      if (entry.values.size > 0) yield entry;
      entry = emptyEntry();
      folder = '';
      isKept = false;
    } else if (line.length > LONGEST_LINE || line[1] !== 0x3a) skips.add('lines that are no fields, or too long');
    else {
      const [letter, value] = [line.toString('latin1', 0, 1), line.toString('utf8', 2)];
      if (letter === 'F') folder = value === '' ? '' : `/${value}`;
      else if (letter === 'R') {
        const chars = folder.length + 1 + value.length;
        isKept = chars <= LONGEST_PATH && room.take(chars);
        if (isKept) entry.owns.push(`${folder}/${value}`);
        else skips.add('paths that take too much room');
      } else if (letter === 'Z') {
        const [hash] = hashesOf(value);
        if (isKept && hash !== undefined && room.take(hash.hex.length))
          entry.digests[entry.owns.length - 1] = listedDigest(hash.hex);
      } else if ('PVALomDpC'.includes(letter)) entry.values.set(letter, value);
    }
  }
  if (entry.values.size > 0) yield entry;
}

/** Names in a list such as `so:libc.musl-x86_64.so.1=1 !conflict busybox>1.36 pkg@edge`. */
function namesOf(list: string | undefined, room: TextRoom, skips: Skips): string[] {
  const names = (list ?? '').split(' ').map((item) => item.split(/[<>=~@]/, 1)[0] ?? '');
  const others = names.filter((name) => name !== '' && !name.startsWith('!'));
  return room.keepNames(others, skips, 'dependencies that take too much room');
}

function hashesOf(checksum: string | undefined): NonNullable<Package['hashes']> {
  const [, version, base64 = ''] = CHECKSUM.exec(checksum ?? '') ?? [];
  if (version === undefined) return [];
  const { algorithm, bytes } = ALGORITHMS[version === '1' ? 1 : 2];
  const hash = Buffer.from(base64, 'base64');
  return hash.length === bytes ? [{ algorithm, hex: hash.toString('hex') }] : [];
}

function toPackage({ values, owns, digests }: Entry, room: TextRoom, skips: Skips): Package | undefined {
  const [name = '', version = '', arch = '', license = '', origin = '', supplier = ''] = [
    'P',
    'V',
    'A',
    'L',
    'o',
    'm',
  ].map((letter) => values.get(letter));
  if (name === '' || version === '') return undefined;
  if ([name, version, arch, license, origin, supplier].some((text) => text.length > LONGEST_NAME)) return undefined;
  const [dependsOn, provides] = ['D', 'p'].map((letter) => namesOf(values.get(letter), room, skips));
  const hashes = hashesOf(values.get('C'));
  return {
    type: 'apk',
    name,
    version,
    ...(arch !== '' && { qualifiers: { arch } }),
    ...(license !== '' && { licenses: [license] }),
    ...(supplier !== '' && { supplier }),
    ...(hashes.length > 0 && { hashes }),
    ...(origin !== '' && { source: { name: origin, version } }),
    ...(dependsOn !== undefined && dependsOn.length > 0 && { dependsOn }),
    ...(provides !== undefined && provides.length > 0 && { provides }),
    ...(owns.length > 0 && { owns }),
    ...(digests.length > 0 && { digests: owns.map((_, at) => digests[at] ?? '') }),
  };
}

/**
 * Reads the installed Alpine packages.
 * @see https://wiki.alpinelinux.org/wiki/Apk_spec
 */
export const apkCataloger: Cataloger = {
  name: 'apk',
  kind: 'os',
  maxBytes: 64 * 1024 * 1024,
  wants: (path) => DATABASE.test(path),
  places: ['lib/apk/db/installed', 'usr/lib/apk/db/installed'],
  async read(file): Promise<Reading> {
    const packages: Package[] = [];
    const [skips, room] = [new Skips(), new TextRoom()];
    for (const entry of entriesOf(await file.whole(), skips, room)) {
      const found = toPackage(entry, room, skips);
      if (found === undefined) skips.add('entries without a usable name or version');
      else if (packages.length === MOST_PACKAGES) skips.add('packages beyond the limit');
      else packages.push(found);
    }
    return { packages, ...skips.gaps };
  },
  combine: (found) => ({
    packages: nameOwners(found.flatMap(packagesAt)),
  }),
};
