import { ZipLimitError, type ZipBudget } from './zip-budget.js';
import { IN_EXTRA, readDirectories, readSizes, type DirectoryEntry } from './zip-directory.js';
import { ZipContentError, inflate } from './zip-inflate.js';
import { EntryContent, LOCAL, ZipInput } from './zip-input.js';

const LOCAL_BYTES = 30;
const [HASH, BANG] = [0x23, 0x21] as const;
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

/** What the header before an entry's content says. */
interface LocalHeader {
  name: string;
  method: number;
  isEncrypted: boolean;
  /** Bytes of the content; undefined if a data descriptor behind it has them. */
  size: number | undefined;
}

interface ReadEntry<T> {
  name: string;
  method: number;
  /** Has the number of its bytes once it is skipped. */
  content: EntryContent;
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
    while ((input.seekHeaderHere() ?? (await input.seekHeader())) === LOCAL) {
      budget.takeHeader();
      const offset = input.position;
      const header = takeHeader(input) ?? (await fetchHeader(input));
      if (header === undefined) {
        input.at += 4;
        continue;
      }
      const content = new EntryContent(input, header.size);
      if (reader.wants(header.name)) passed.set(offset, await readEntry(header, content, reader, budget));
      else reader.pass?.(header.name);
      if (!content.skipHere()) await content.skip();
    }
    const start = input.position;
    let held = 0;
    const tail = await input.rest((length) => {
      budget.hold(length - held);
      held = length;
    });
    const directories = readDirectories(tail, start, (name) => {
      budget.takeHeader();
      return reader.wants(name);
    });
    if (directories === undefined) throw new ZipLimitError('too many records that end a zip archive');
    const content = directories.length === 0 ? undefined : compare(directories, passed);
    budget.hold(-held);
    return content;
  } finally {
    await input.close();
  }
}

/** Moves behind the local header that is next. @returns undefined if it is not whole in the window */
function takeHeader(input: ZipInput): LocalHeader | undefined {
  const { window, at, available } = input;
  if (available < LOCAL_BYTES) return undefined;
  const nameEnd = at + LOCAL_BYTES + window.readUInt16LE(at + 26);
  const headerEnd = nameEnd + window.readUInt16LE(at + 28);
  if (headerEnd > window.length) return undefined;
  const [flags, method] = [window.readUInt16LE(at + 6), window.readUInt16LE(at + 8)];
  const name = window.toString('utf8', at + LOCAL_BYTES, nameEnd);
  let size = window.readUInt32LE(at + 18);
  if (size === IN_EXTRA) {
    const extra = window.subarray(nameEnd, headerEnd);
    [, size = 0] = readSizes(extra, [window.readUInt32LE(at + 22), size]);
  }
  const isBehind = (flags & 8) !== 0 && size === 0 && !(method === STORED && name.endsWith('/'));
  input.at = headerEnd;
  return { name, method, isEncrypted: (flags & 1) !== 0, size: isBehind ? undefined : size };
}

/** As {@link takeHeader}, for a header that is not whole in the window. @returns undefined if the archive ends in it */
async function fetchHeader(input: ZipInput): Promise<LocalHeader | undefined> {
  if (!(await input.fill(LOCAL_BYTES))) return undefined;
  const { window, at } = input;
  const length = LOCAL_BYTES + window.readUInt16LE(at + 26) + window.readUInt16LE(at + 28);
  return (await input.fill(length)) ? takeHeader(input) : undefined;
}

/** Reads an entry that is wanted. */
async function readEntry<T>(
  { name, method, isEncrypted }: LocalHeader,
  content: EntryContent,
  reader: ZipReader<T>,
  budget: ZipBudget,
): Promise<ReadEntry<T>> {
  const entry: ReadEntry<T> = { name, method, content };
  if (isEncrypted) entry.reason = 'is encrypted';
  else if (method !== STORED && method !== DEFLATED) entry.reason = `has the compression method ${method}`;
  else {
    try {
      entry.value = await reader.read(name, method === STORED ? content : inflate(content, budget));
    } catch (error) {
      if (!(error instanceof ZipContentError)) throw error;
      entry.reason = 'does not inflate';
    }
  }
  return entry;
}

function compare<T>(
  directories: readonly Iterable<DirectoryEntry>[],
  passed: ReadonlyMap<number, ReadEntry<T>>,
): ZipContent<T> {
  const content: ZipContent<T> = { entries: [], unread: [] };
  const listed = new Set<string>();
  for (const { name, offset, method, compressedBytes, isEncrypted } of chain(directories)) {
    const key = `${offset} ${name}`;
    if (listed.has(key)) continue;
    listed.add(key);
    const entry = passed.get(offset);
    const isSame = entry?.name === name && entry.method === method && entry.content.length === compressedBytes;
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

/** First entries of Java archives: of the JDK and Maven, and of any zip program. */
const JAVA_ENTRY = /^(?:(?:META|BOOT|WEB)-INF|com|io|net|org)\/|\.class$/;
/** The banner in the script that Spring Boot writes before an archive which can be started by its name. */
const SPRING_BANNER = '.   ____          _            __ _ _';

/** True for a file that starts as a Java archive, whatever its name. */
export function startsAsJar(head: Uint8Array): boolean {
  const isScript = head[0] === HASH && head[1] === BANG;
  if (!isScript && head[0] !== 0x50) return false;
  const start = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (isScript) return start.includes(SPRING_BANNER);
  if (start.length <= LOCAL_BYTES || start.readUInt32LE(0) !== LOCAL) return false;
  return JAVA_ENTRY.test(start.toString('latin1', LOCAL_BYTES, LOCAL_BYTES + start.readUInt16LE(26)));
}
