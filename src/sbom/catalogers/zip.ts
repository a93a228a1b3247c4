import { ZipLimitError, type ZipBudget } from './zip-budget.js';
import { readDirectories, readSizes, type DirectoryEntry } from './zip-directory.js';
import { ZipContentError, inflate } from './zip-inflate.js';
import { EntryContent, LOCAL, ZipInput } from './zip-input.js';

const LOCAL_BYTES = 30;
const [STORED, DEFLATED] = [0, 8] as const;

/** Chooses and reads entries. */
export interface ZipReader<T> {
  /** Called once or twice for each entry, so it must be fast. */
  wants(name: string): boolean;
  /** Called for each entry that is not wanted, whether or not the directory lists it. */
  pass?(name: string): void;
  /** Reads the inflated content, in pieces that are valid until the next is asked for. May stop early. */
  read(name: string, content: AsyncIterable<Uint8Array>): Promise<T>;
}

/** What a zip archive contains. */
export interface ZipContent<T> {
  /** The wanted entries, in the order of the central directory. */
  entries: { name: string; value: T }[];
  /** Wanted entries that the central directory lists and that could not be read, with the reason. */
  unread: string[];
}

interface ReadEntry<T> {
  name: string;
  method: number;
  compressedBytes: number;
  value?: T;
  /** Why it was not read. */
  reason?: string;
}

/**
 * Reads a zip archive forward, in flat memory: the content is read where it passes, and counts if the central directory
 * at the end lists it. An entry that is listed but did not pass as it is listed is named in `unread`, so that no
 * disagreement between the two hides anything. No library reads zip archives this way: they need the whole file, or
 * ignore the directory.
 * @returns undefined if it is not a zip archive or has no central directory
 * @throws ZipLimitError
 */
export async function readZip<T>(
  source: AsyncIterable<Uint8Array>,
  reader: ZipReader<T>,
  budget: ZipBudget,
): Promise<ZipContent<T> | undefined> {
  const input = new ZipInput(source);
  try {
    const passed = new Map<number, ReadEntry<T>>();
    let signature = await input.seekHeader();
    for (; signature === LOCAL; signature = await input.seekHeader()) {
      budget.takeHeader();
      const offset = input.position;
      const entry = await readEntry(input, reader, budget);
      if (entry !== undefined) passed.set(offset, entry);
    }
    const start = input.position;
    let held = 0;
    const tail = await input.rest((length) => {
      budget.hold(length - held);
      held = length;
    });
    const directories = readDirectories(tail, start);
    if (directories === undefined) throw new ZipLimitError('too many records that end a zip archive');
    const content = directories.length === 0 ? undefined : compare(directories, passed, reader, budget);
    budget.hold(-held);
    return content;
  } finally {
    await input.close();
  }
}

/** Reads the entry at a local header if it is wanted, else skips it. */
async function readEntry<T>(
  input: ZipInput,
  reader: ZipReader<T>,
  budget: ZipBudget,
): Promise<ReadEntry<T> | undefined> {
  const skip = (): undefined => {
    input.advance(4);
  };
  if (!(await input.fill(LOCAL_BYTES))) return skip();
  let header = input.bytes;
  const nameEnd = LOCAL_BYTES + header.readUInt16LE(26);
  const headerEnd = nameEnd + header.readUInt16LE(28);
  if (!(await input.fill(headerEnd))) return skip();
  header = input.bytes;
  const [flags, method] = [header.readUInt16LE(6), header.readUInt16LE(8)];
  const name = header.toString('utf8', LOCAL_BYTES, nameEnd);
  const extra = header.subarray(nameEnd, headerEnd);
  const [, size = 0] = readSizes(extra, [header.readUInt32LE(22), header.readUInt32LE(18)]);
  const isBehind = (flags & 8) !== 0 && size === 0 && !(method === STORED && name.endsWith('/'));
  input.advance(headerEnd);
  const content = new EntryContent(input, isBehind ? undefined : size);
  if (!reader.wants(name)) {
    reader.pass?.(name);
    await content.drain();
    return undefined;
  }
  const entry: ReadEntry<T> = { name, method, compressedBytes: 0 };
  if ((flags & 1) !== 0) entry.reason = 'is encrypted';
  else if (method !== STORED && method !== DEFLATED) entry.reason = `has the compression method ${method}`;
  else {
    try {
      entry.value = await reader.read(name, method === STORED ? content : inflate(content, budget));
    } catch (error) {
      if (!(error instanceof ZipContentError)) throw error;
      entry.reason = 'does not inflate';
    }
  }
  await content.drain();
  entry.compressedBytes = content.length;
  return entry;
}

function compare<T>(
  directories: readonly Iterable<DirectoryEntry>[],
  passed: ReadonlyMap<number, ReadEntry<T>>,
  reader: ZipReader<T>,
  budget: ZipBudget,
): ZipContent<T> {
  const content: ZipContent<T> = { entries: [], unread: [] };
  const listed = new Set<string>();
  for (const { name, offset, method, compressedBytes, isEncrypted } of chain(directories)) {
    budget.takeHeader();
    const key = `${offset} ${name}`;
    if (!reader.wants(name) || listed.has(key)) continue;
    listed.add(key);
    const entry = passed.get(offset);
    const isSame = entry?.name === name && entry.method === method && entry.compressedBytes === compressedBytes;
    if (entry === undefined || !isSame) content.unread.push(`${name} differs from the central directory`);
    else if (entry.reason !== undefined || isEncrypted)
      content.unread.push(`${name} ${entry.reason ?? 'is encrypted'}`);
    else if (entry.value !== undefined) content.entries.push({ name, value: entry.value });
  }
  return content;
}

function* chain<T>(all: readonly Iterable<T>[]): Generator<T> {
  for (const one of all) yield* one;
}

/** True for a file that starts as the JDK's `jar` and Maven write archives, whatever its name. */
export function startsAsJar(head: Uint8Array): boolean {
  const start = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, LOCAL_BYTES + 9));
  return (
    start.length > LOCAL_BYTES &&
    start.readUInt32LE(0) === LOCAL &&
    start.toString('latin1', LOCAL_BYTES) === 'META-INF/'
  );
}
