import { Unreadable } from './binary.js';
import { packagesAt, type Cataloger, type Package, type Reading } from './cataloger.js';
import { nameOwners } from './file-dependencies.js';
import { isBerkeleyDb, readBerkeleyDb } from './rpm/berkeley-db.js';
import { RpmHeader } from './rpm/header.js';
import { readManifest } from './rpm/manifest.js';
import { isNdb, readNdb } from './rpm/ndb.js';
import { packageOf } from './rpm/package.js';
import { isSqlite, readSqlite } from './rpm/sqlite.js';
import { Skips } from './skips.js';
import { TextRoom } from './text-room.js';

/** The folders of rpm's database: of most, of Fedora and SUSE, of ostree; and the list of Azure Linux distroless. */
const WANTED =
  /^(?:(?:var\/lib|usr\/lib\/sysimage|usr\/share)\/rpm\/(?:Packages|Packages\.db|rpmdb\.sqlite(?:-wal|-journal)?)|var\/lib\/rpmmanifest\/container-manifest-2)$/;
const FOLDERS = ['var/lib/rpm/', 'usr/lib/sysimage/rpm/', 'usr/share/rpm/'];
/** The first four bytes of sqlite's write-ahead log, in both byte orders, and of its rollback journal. */
const LOGS = ['377f0682', '377f0683', 'd9d505f9'];
/** Bytes of a write-ahead log that contains no change. */
const EMPTY_LOG_BYTES = 32;
/** Packages of one database. The largest real ones have 10,000. */
const MOST_PACKAGES = 100_000;

function headersOf(bytes: Uint8Array, skips: Skips): Generator<Uint8Array> {
  if (isSqlite(bytes)) return readSqlite(bytes, skips);
  if (isNdb(bytes)) return readNdb(bytes, skips);
  if (isBerkeleyDb(bytes)) return readBerkeleyDb(bytes, skips);
  throw new Unreadable('it is of no known format');
}

function* packagesOf(bytes: Uint8Array, skips: Skips): Generator<Package> {
  const room = new TextRoom();
  for (const header of headersOf(bytes, skips)) {
    try {
      yield packageOf(new RpmHeader(header), room, skips);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      skips.addOrStop('headers that cannot be read');
    }
  }
}

/** A text of lines with tabs, and no database. */
function isManifest(bytes: Uint8Array): boolean {
  const first = Buffer.from(bytes.subarray(0, 4096)).toString('latin1').split('\n', 1)[0] ?? '';
  return /^[\w.+-]+\t/.test(first);
}

/**
 * Reads the installed packages of rpm's databases: sqlite, Berkeley DB and ndb, and the list of Azure Linux distroless.
 * @see https://rpm-software-management.github.io/rpm/manual/
 */
export const rpmCataloger: Cataloger = {
  name: 'rpm',
  kind: 'os',
  maxBytes: 256 * 1024 * 1024,
  wants: (path) => WANTED.test(path),
  places: [...FOLDERS, 'var/lib/rpmmanifest/container-manifest-2'],
  async read(file): Promise<Reading> {
    const skips = new Skips();
    if (LOGS.includes(Buffer.from(file.head.subarray(0, 4)).toString('hex'))) {
      if (file.size > EMPTY_LOG_BYTES) skips.note('changes that are not merged into the database');
      return skips.gaps;
    }
    const packages: Package[] = [];
    if (file.size === 0) return {};
    const bytes = await file.whole();
    try {
      for (const found of isManifest(bytes) ? readManifest(bytes, skips) : packagesOf(bytes, skips)) {
        if (packages.length < MOST_PACKAGES) packages.push(found);
        else skips.add('packages beyond the limit');
      }
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      skips.note(`the database cannot be read: ${error.message}`);
    }
    return { packages, ...skips.gaps };
  },
  combine: (found) => ({
    packages: nameOwners(found.flatMap(packagesAt)),
  }),
};
