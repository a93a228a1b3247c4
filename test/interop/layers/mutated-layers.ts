import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf } from '../../../src/oci/index.js';
import { file, header, pax } from '../../unit/sbom/raw-tar.js';

/** Random numbers from a seed: the same seed gives the same layers. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Names are bytes, here as Latin-1. */
const PATHS = [
  'a', 'b', 'a/b', 'a/b/c', 'd', 'd/e', 'd/e/f', 'l', 'l/x', 'l/b', 'a/l', 'a/l/b', 'status', 'l/status',
  'var/lib/dpkg/status', 'var/lib/dpkg', 'var', 'n/p/package.json', 'n/p', './a', '/d', 'a//b', '../a', 'a/../d', '.',
  'd/./e', 'a/', 'd/e/', '\xc3\xbc', 'a\xff', 'a\xfe', '\xef\xbb\xbfa', `d/${'x'.repeat(120)}`,
  `${'y'.repeat(90)}/${'z'.repeat(90)}`, 'a b', '',
]; // prettier-ignore
const TARGETS = [
  'a',
  '/a',
  '../d',
  'l',
  '.',
  '/',
  'var/lib/dpkg',
  '/var/lib',
  '../../..',
  'missing',
  'd/e',
  'a/b',
  'b/..',
  '../l',
];

type Random = () => number;
const pick = <T>(random: Random, from: readonly T[]): T => {
  const picked = from[Math.floor(random() * from.length)];
  if (picked === undefined) throw new RangeError('nothing to pick from');
  return picked;
};

interface Block {
  /** A header, or bytes that belong to the one before. */
  kind: 'header' | 'content';
  bytes: Buffer;
}

function content(bytes: Buffer): Block {
  return { kind: 'content', bytes: Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]) };
}

const latin1 = (value: string): Buffer => Buffer.from(value, 'latin1');

function extension(type: string, body: string): Block[] {
  const bytes = latin1(body);
  return [{ kind: 'header', bytes: header({ name: `ext-${type}`, type, size: bytes.length }) }, content(bytes)];
}

/** Records of a pax header whose values are bytes. */
const records = (...each: string[]): string => pax(...each);

/** The blocks of one entry, in one of the ways in which archivers write names. */
function entry(random: Random, name: string, type: string, link: string, body: string): Block[] {
  const blocks: Block[] = [];
  const way = random();
  let magic = 'ustar\x0000';
  if (way < 0.25) {
    magic = 'ustar  \0';
    if (name.length > 100 || random() < 0.2) blocks.push(...extension('L', `${name}\0`));
    if (link.length > 100 || (link !== '' && random() < 0.2)) blocks.push(...extension('K', `${link}\0`));
  } else if (name.length > 100 || way < 0.45) {
    const each = [`path=${name}`, ...(link === '' ? [] : [`linkpath=${link}`])];
    if (type === '0' && random() < 0.3) each.push(`size=${body.length}`);
    blocks.push(...extension('x', records(...each)));
  } else if (way < 0.5) magic = '';
  const slash = name.length <= 100 || magic !== 'ustar\x0000' ? -1 : name.lastIndexOf('/', 100);
  const split = slash > 0 && slash < 155;
  blocks.push({
    kind: 'header',
    bytes: header({
      name: '',
      type,
      magic,
      size: type === '0' || type === '\0' ? body.length : 0,
      bytes: [
        [0, latin1(split ? name.slice(slash + 1) : name).subarray(0, 100)],
        [157, latin1(link).subarray(0, 100)],
        ...(split ? [[345, latin1(name.slice(0, slash))] as [number, Buffer]] : []),
      ],
    }),
  });
  if (type === '0' || type === '\0') if (body.length > 0) blocks.push(content(latin1(body)));
  return blocks;
}

/** A sparse file as GNU tar writes it: with the map before the content, or in the header. */
function sparseEntry(random: Random, name: string): Block[] {
  if (random() < 0.3)
    return [
      {
        kind: 'header',
        bytes: header({ name: 's', type: 'S', magic: 'ustar  \0', size: 0, bytes: [[482, Buffer.from([1])]] }),
      },
      content(Buffer.alloc(512)),
    ];
  const isInside = random() < 0.5;
  const map = isInside
    ? ['GNU.sparse.major=1', 'GNU.sparse.minor=0', 'GNU.sparse.realsize=9']
    : ['GNU.sparse.size=9', 'GNU.sparse.numblocks=1', 'GNU.sparse.map=2,3'];
  const body = isInside ? `${'1\n2\n3\n'.padEnd(512, '\0')}abc` : 'abc';
  return [
    ...extension('x', records(`GNU.sparse.name=${name}`, ...map)),
    ...entry(() => 0.9, 'GNUSparseFile.0/x', '0', '', body),
  ];
}

/**
 * @param seen paths of files that entries before have, to which it adds its own
 * @param odd true if it may be one that no archiver writes into a layer
 */
function anyEntry(random: Random, seen: string[], odd: boolean): Block[] {
  const name = pick(random, PATHS);
  const roll = random() * (odd ? 1 : 0.95);
  const body = 'x'.repeat(Math.floor(random() * (random() < 0.1 ? 1500 : 40)));
  if (roll < 0.4) {
    seen.push(name);
    return entry(random, name, random() < 0.1 ? '\0' : '0', '', `${body}${random()}`);
  }
  if (roll < 0.6) return entry(random, name, '5', '', '');
  if (roll < 0.75) return entry(random, name, '2', pick(random, TARGETS), '');
  if (roll < 0.83) return entry(random, name, '1', pick(random, seen.length > 0 && random() < 0.9 ? seen : PATHS), '');
  if (roll < 0.9) return entry(random, name.replace(/([^/]+)\/?$/, '.wh.$1'), '0', '', '');
  if (roll < 0.94) return entry(random, name.replace(/[^/]+\/?$/, '.wh..wh..opq'), '0', '', '');
  if (roll < 0.95) return entry(random, name, '6', '', '');
  if (roll < 0.96) return sparseEntry(random, name);
  if (roll < 0.98) return extension('g', records(random() < 0.5 ? `path=${name}` : 'comment=x'));
  return oddExtension(random);
}

const ODD_RECORDS = [
  'path=', 'linkpath=', 'size=', 'size=+3', 'size=00000000000000000000003', 'size=-1', 'size=\x003', 'size=1_0', 'size=9223372036854775808',
  'path=a', 'path=\xef\xbb\xbfa', '\xef\xbb\xbfpath=a', 'path=a\xff', 'path=a/b', 'uid=+1', 'uid=x', 'mtime=1.5', 'mtime=-1.', 'mtime=.5',
  'mtime=1.x', 'atime=0x1', 'uname=a\0b', 'GNU.sparse.name=b', 'GNU.sparse.name=n/p', 'GNU.sparse.major=1', 'GNU.sparse.minor=0', 'GNU.sparse.major=0',
  'GNU.sparse.major=2', 'GNU.sparse.map=0,1', 'GNU.sparse.numblocks=1', 'GNU.sparse.numblocks=0', 'GNU.sparse.size=10', 'GNU.sparse.realsize=5',
  'GNU.sparse.offset=0', 'GNU.sparse.numbytes=1', 'comment=x', 'linkpath=d/e', 'hdrcharset=BINARY', 'SCHILY.xattr.user.x=y',
]; // prettier-ignore

function oddExtension(random: Random): Block[] {
  const roll = random();
  if (roll < 0.15)
    return extension('L', pick(random, ['', '\0', '\0a', 'a\0b', 'b', '\xef\xbb\xbfa', 'a\xff', 'd/e/f\0']));
  if (roll < 0.25) return extension('K', pick(random, ['', '\0', 'a', 'd/e\0x', '/']));
  const each = Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(random, ODD_RECORDS));
  return extension(roll < 0.4 ? 'g' : 'x', records(...each));
}

/** Offset and length of each field that is a number. */
const NUMBERS = [[100, 8], [108, 8], [116, 8], [124, 12], [136, 12], [329, 8], [337, 8], [345, 12], [357, 12], [476, 12], [488, 12]] as const; // prettier-ignore
const FIELDS = [[0, 100], [156, 1], [157, 100], [257, 8], [345, 155], [482, 1], [508, 4], [148, 8]] as const; // prettier-ignore

function oddNumber(random: Random, length: number): Buffer {
  const value = Math.floor(random() * 40);
  const octal = value.toString(8);
  switch (Math.floor(random() * 10)) {
    case 0: return latin1(`\0${octal}\0`);
    case 1: return latin1(` \0 ${octal} \0`);
    case 2: return latin1(octal.padStart(length, '0'));
    case 3: return Buffer.from([0x80, ...Array<number>(length - 2).fill(0), value]);
    case 4: return Buffer.alloc(length, 0xff);
    case 5: return Buffer.from([0xc0, ...Array<number>(length - 2).fill(0xff), value]);
    case 6: return latin1('8'.padStart(length, '0'));
    case 7: return latin1(`${octal}\0junk`);
    case 8: return Buffer.from([0x80, 0x40, ...Array<number>(length - 2).fill(value)]);
    default: return Buffer.alloc(length, 0);
  }
} // prettier-ignore

/** Writes the right checksum into a header. */
function seal(block: Buffer): void {
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

function mutate(random: Random, blocks: Block[]): void {
  if (blocks.length === 0) return;
  const headers = blocks.filter(({ kind }) => kind === 'header');
  const target = pick(random, headers.length > 0 ? headers : blocks);
  const at = blocks.indexOf(target);
  const roll = random();
  if (roll < 0.25) {
    const [start, length] = pick(random, NUMBERS);
    target.bytes.fill(0, start, start + length);
    oddNumber(random, length).copy(target.bytes, start, 0, length);
    seal(target.bytes);
  } else if (roll < 0.4) {
    const [start, length] = pick(random, FIELDS);
    target.bytes[start + Math.floor(random() * length)] = Math.floor(random() * 256);
    if (random() < 0.9) seal(target.bytes);
  } else if (roll < 0.5) {
    target.bytes.write(
      pick(random, ['ustar\x0000', 'ustar  \0', 'ustar \x0000', 'ustar\0  ', 'USTAR\0', '\0'.repeat(8)]),
      257,
      'latin1',
    );
    if (random() < 0.3) target.bytes.write('tar\0', 508);
    if (random() < 0.5) target.bytes.write(pick(random, ['n', 'a/b', '\xc3\xbc', '0000017\0', 'd\0e']), 345, 'latin1');
    seal(target.bytes);
  } else if (roll < 0.55) {
    target.bytes.write(pick(random, ['0', '\0', '1', '2', '5', '3', '7', 'S', 'g', 'x', 'Z', 'V', 'L']), 156, 'latin1');
    seal(target.bytes);
  } else if (roll < 0.75) blocks.splice(at, 0, ...oddExtension(random));
  else if (roll < 0.8) blocks.splice(at, 1);
  else if (roll < 0.85) blocks.splice(at, 0, { kind: 'content', bytes: Buffer.alloc(512 * (random() < 0.5 ? 1 : 2)) });
  else if (roll < 0.9) blocks.splice(at, 0, { ...target, bytes: Buffer.from(target.bytes) });
  else {
    const any = pick(random, blocks);
    any.bytes[Math.floor(random() * any.bytes.length)] = Math.floor(random() * 256);
  }
}

/** A layer of a few entries, as an archiver would write them or, in this share of all, changed in a few places. */
export function mutatedLayer(random: Random, changed = 0.5): Buffer {
  const seen: string[] = [];
  const isChanged = random() < changed;
  const isOdd = random() < 2 * changed;
  const blocks = Array.from({ length: 1 + Math.floor(random() * 9) }, () => anyEntry(random, seen, isOdd)).flat();
  if (isChanged) for (let count = 1 + Math.floor(random() * 3); count > 0; count -= 1) mutate(random, blocks);
  const end = random() < 0.9 ? Buffer.alloc(1024) : Buffer.alloc(random() < 0.5 ? 512 : 0);
  const bytes = Buffer.concat([...blocks.map((block) => block.bytes), end]);
  return isChanged && random() < 0.1 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
}

/** The layer in gzip members or zstd frames, some of which are skipped; about half are then changed in a few places. */
export function packed(random: Random, layer: Buffer, isGzip = random() < 0.5): Buffer {
  const checksum = { params: { 201: random() < 0.5 ? 1 : 0 } };
  const pieces: Buffer[] = [];
  const pieceBytes = random() < 0.5 ? Math.max(layer.length, 1) : 1 + Math.floor(random() * 4000);
  for (let at = 0; at < layer.length || at === 0; at += pieceBytes) {
    const piece = layer.subarray(at, at + pieceBytes);
    if (!isGzip && random() < 0.2) pieces.push(skippable(Math.floor(random() * 20)));
    pieces.push(isGzip ? gzipSync(piece) : zstdCompressSync(piece, checksum));
  }
  if (random() < 0.1)
    pieces.push(isGzip || random() < 0.5 ? Buffer.alloc(Math.floor(random() * 20), random() * 256) : skippable(3));
  const bytes = Buffer.concat(pieces);
  if (random() < 0.5) return bytes;
  for (let count = 1 + Math.floor(random() * 2); count > 0; count -= 1)
    bytes[Math.floor((random() < 0.5 ? random() ** 4 : random()) * bytes.length)] = Math.floor(random() * 256);
  return random() < 0.2 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
}

function skippable(size: number): Buffer {
  const frame = Buffer.alloc(8 + size, 7);
  frame.writeUInt32LE(0x184d2a50, 0);
  frame.writeUInt32LE(size, 4);
  return frame;
}

const FOLDERS = ['a', 'b', 'a/b', 'a/b/c'];

/** A layer of files, folders and whiteouts, each name once, as an archiver writes it. */
export function simpleLayer(random: Random): Buffer {
  const paths = FOLDERS.flatMap((folder) => ['x', 'y', 'z'].map((name) => `${folder}/${name}`));
  const seen = new Set<string>();
  const entries: Buffer[] = [];
  for (let count = 1 + Math.floor(random() * 6); count > 0; count -= 1) {
    const path = pick(random, [...paths, ...FOLDERS]);
    const roll = random();
    // What is removed or replaced by a layer has nothing else in it.
    const isTaken = [...seen].some(
      (each) => each === path || each.startsWith(`${path}/`) || path.startsWith(`${each}/`),
    );
    if (isTaken) continue;
    seen.add(path);
    if (roll < 0.7) entries.push(file({ name: path }, `content ${random()}`));
    else if (roll < 0.8) entries.push(header({ name: `${path}/`, type: '5' }));
    else entries.push(file({ name: path.replace(/([^/]+)$/, '.wh.$1') }, ''));
  }
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

/** An image of plain layers, as `docker save` writes it. */
export function dockerArchive(layers: readonly Buffer[]): Buffer {
  const names = layers.map((_, index) => `layer${index}.tar`);
  const rootfs = { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) };
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs });
  const configName = `${digestOf(Buffer.from(config)).replace('sha256:', '')}.json`;
  return Buffer.concat([
    file({ name: configName }, config),
    ...layers.map((layer, index) => file({ name: names[index] ?? '' }, layer)),
    file({ name: 'manifest.json' }, JSON.stringify([{ Config: configName, RepoTags: [], Layers: names }])),
    Buffer.alloc(1024),
  ]);
}
