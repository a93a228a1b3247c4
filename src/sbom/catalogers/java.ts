import {
  LONGEST_NAME,
  unreadable,
  type Cataloger,
  type Gap,
  type LocatedPackage,
  type Package,
  type Reading,
} from './cataloger.js';
import { identify, type JavaArchive } from './java-identity.js';
import { parseManifest, type JavaManifest } from './java-manifest.js';
import { parsePomProperties, parsePomXml, type Pom } from './maven-pom.js';
import { ZipBudget, ZipLimitError } from './zip-budget.js';
import { unreadEcosystem } from './unread.js';
import { readZip, startsAsJar } from './zip.js';

const EXTENSION = /\.(?:jar|war|ear|par|sar|rar|nar|kar|far|hpi|jpi|lpkg|zap|zip|whl)$/i;
/** Archives of other things, which may have Java archives inside. */
const OTHER = /\.(?:zip|whl)$/i;
const WANTED =
  /(?:^|\/)pom\.properties$|(?:^|\/)META-INF\/maven\/[^/]+\/[^/]+\/pom\.xml$|^META-INF\/MANIFEST\.MF$|\.(?:jar|war|ear|par|sar|rar|nar|kar|far|hpi|jpi|lpkg|zap|zip|whl)$/i;
/** A class of the archive itself: not at its root, and not one for newer Java versions only. */
const CLASS = /^(?![A-Z]+-INF\/).+\/[^/]+\.class$/;
/** Maximum bytes of a manifest or POM. Only the start of a longer manifest is parsed: it has the main section. */
const LONGEST_ENTRY = 1024 * 1024;
/** Archives inside archives: a war in an ear that contains jars is the third. */
const DEEPEST = 6;
/** Archives and poms of one file. */
const MOST_RECORDS = 20_000;
/** Gaps of one cause that are named; further ones are counted. */
const MOST_NAMED = 10;

/** What is read of one file. */
interface Facts {
  archives: JavaArchive[];
}

/** An entry that was read: part of a description, or an archive with all archives inside it. */
type Entry = { pom: Pom } | { manifest: JavaManifest } | { archives: JavaArchive[] };

/** Reads one file with all archives inside it. */
class FileReader {
  readonly unread: string[] = [];
  readonly #budget: ZipBudget;
  #records = 0;

  constructor(size: number) {
    this.#budget = new ZipBudget(size);
  }

  /** @returns undefined if it is no zip archive */
  async read(source: AsyncIterable<Uint8Array>, inner: string, depth: number): Promise<JavaArchive[] | undefined> {
    let root: string | undefined;
    /** The start of all names in the folder `root`. */
    let start = '';
    const content = await readZip<Entry | undefined>(
      source,
      {
        // Most entries are classes.
        wants: (name) => !name.endsWith('.class') && WANTED.test(name),
        pass(name) {
          if (root === '' || (root !== undefined && name.startsWith(start)) || !CLASS.test(name)) return;
          root = commonFolder(root, name.slice(0, name.lastIndexOf('/')));
          start = `${root}/`;
        },
        read: (name, bytes) => this.#readEntry(name, bytes, inner === '' ? name : `${inner}/${name}`, depth),
      },
      this.#budget,
    );
    if (content === undefined) return undefined;
    const poms = new Map<string, Pom>();
    const archive: JavaArchive = { inner, poms: [], manifest: {}, root: (root ?? '').replaceAll('/', '.') };
    if (root !== undefined || content.entries.some(({ value }) => value !== undefined && 'manifest' in value))
      archive.isJava = true;
    const archives = [archive];
    for (const { name, value } of content.entries) {
      if (value === undefined) continue;
      if ('archives' in value) archives.push(...value.archives);
      else if ('manifest' in value) archive.manifest = value.manifest;
      else {
        const folder = name.slice(0, name.lastIndexOf('/') + 1);
        const isProperties = name.endsWith('s');
        // pom.properties has the values that pom.xml may leave to its parent.
        const [first, second] = isProperties ? [poms.get(folder), value.pom] : [value.pom, poms.get(folder)];
        poms.set(folder, { ...first, ...second });
      }
    }
    archive.poms = [...poms.values()];
    const incomplete = archive.poms.filter(({ artifact, version }) => artifact === undefined || version === undefined);
    if (incomplete.length > 0) this.unread.push(`${incomplete.length} poms without name or version`);
    for (const reason of content.unread) this.unread.push(inner === '' ? reason : `${inner}/${reason}`);
    return archives;
  }

  async #readEntry(
    name: string,
    content: AsyncIterable<Uint8Array>,
    inner: string,
    depth: number,
  ): Promise<Entry | undefined> {
    this.#records += 1;
    if (this.#records > MOST_RECORDS) throw new ZipLimitError(`more than ${MOST_RECORDS} archives and poms`);
    if (EXTENSION.test(name)) {
      if (depth === DEEPEST) {
        this.unread.push(`${inner} is nested too deep`);
        return undefined;
      }
      let isEmpty = true;
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of content) {
          isEmpty &&= piece.length === 0;
          yield piece;
        }
      };
      const archives = await this.read(pieces(), inner, depth + 1);
      if (archives === undefined && !isEmpty) this.unread.push(`${inner} is no zip archive`);
      return { archives: archives ?? [] };
    }
    const bytes = await this.#start(content);
    if (/MANIFEST\.MF$/i.test(name)) return { manifest: parseManifest(decode(bytes.subarray(0, LONGEST_ENTRY))) };
    if (bytes.length > LONGEST_ENTRY) {
      this.unread.push(`${inner} is too long`);
      return undefined;
    }
    return { pom: name.endsWith('.xml') ? parsePomXml(decode(bytes)) : parsePomProperties(bytes) };
  }

  /** The start of an entry, at least a byte more than the longest if there is one. */
  async #start(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of content) {
      length += piece.length;
      this.#budget.hold(piece.length);
      pieces.push(Buffer.from(piece));
      if (length > LONGEST_ENTRY) break;
    }
    this.#budget.hold(-length);
    return Buffer.concat(pieces);
  }
}

/**
 * The packages of an archive. A zip or wheel without a manifest is not a Java package, nor is an archive with another
 * name that has neither a manifest nor classes: only what its POMs name is listed.
 */
function describedBy(archive: JavaArchive, path: string): Package[] {
  const found = identify(archive, path);
  const name = archive.inner === '' ? path : archive.inner;
  const isOther = OTHER.test(name)
    ? Object.keys(archive.manifest).length === 0
    : !EXTENSION.test(name) && archive.isJava !== true;
  return isOther ? found.filter(({ name }) => archive.poms.some(({ artifact }) => artifact === name)) : found;
}

/** The folder that contains both. Undefined contains nothing yet. */
function commonFolder(one: string | undefined, other: string): string {
  if (one === undefined || one === other || other.startsWith(`${one}/`)) return (one ?? other).slice(0, LONGEST_NAME);
  const [ones, others] = [one.split('/'), other.split('/')];
  const differs = ones.findIndex((part, index) => part !== others[index]);
  return ones.slice(0, differs < 0 ? ones.length : differs).join('/');
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function gapsOf(unread: readonly string[]): Gap[] {
  const gaps = unread.slice(0, MOST_NAMED).map((detail): Gap => ({ cause: 'archive-doubtful', detail }));
  if (unread.length <= MOST_NAMED) return gaps;
  return [...gaps, { cause: 'archive-doubtful', detail: `${unread.length - MOST_NAMED} more entries were not read` }];
}

/**
 * Reads Java archives and the archives inside them, in the order in which they pass: a file of any size takes the
 * memory of its central directory.
 * @see https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html
 */
export const javaCataloger: Cataloger<Facts> = {
  name: 'java',
  kind: 'language',
  maxBytes: Infinity,
  wants: (path) => EXTENSION.test(path) && unreadEcosystem(path) === undefined,
  roleOf: (path) => (OTHER.test(path) ? '' : 'java'),
  recognizes: (head) => startsAsJar(head),
  async read(file): Promise<Reading<Facts>> {
    // An empty file has nothing to hide, and a real RAR archive is no Java program.
    if (file.size === 0 || Buffer.from(file.head).toString('latin1', 0, 4) === 'Rar!') return {};
    const reader = new FileReader(file.size);
    try {
      const archives = await reader.read(file.chunks(), '', 1);
      if (archives === undefined) return unreadable('no zip archive');
      const gaps = gapsOf(reader.unread);
      return { facts: { archives }, ...(gaps.length > 0 && { gaps }) };
    } catch (error) {
      if (!(error instanceof ZipLimitError)) throw error;
      return { gaps: [{ cause: 'file-too-large', detail: error.message }] };
    }
  },
  combine(found) {
    const packages = found.flatMap(({ path, layer, reading }) => {
      const listed = new Map<string, LocatedPackage>();
      for (const archive of reading.facts?.archives ?? []) {
        for (const one of describedBy(archive, path)) {
          const key = JSON.stringify([one.namespace, one.name, one.version]);
          if (!listed.has(key)) listed.set(key, { ...one, path, layer });
        }
      }
      return [...listed.values()];
    });
    return { packages };
  },
};
