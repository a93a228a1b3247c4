import { Binary, Unreadable } from '../binary.js';
import type { Skips } from '../skips.js';

const MAGIC = Buffer.from('RpmP');
const SLOT_MAGIC = Buffer.from('Slot').readUInt32LE();
const BLOB_MAGIC = Buffer.from('BlbS').readUInt32LE();
const [HEADER_BYTES, SLOT_BYTES, BLOB_HEADER_BYTES, BLOCK_BYTES, PAGE_BYTES] = [32, 16, 16, 16, 4096];

export function isNdb(head: Uint8Array): boolean {
  return MAGIC.equals(head.subarray(0, MAGIC.length));
}

/**
 * Yields the headers of rpm's own database format (`Packages.db`, SUSE).
 * @throws Unreadable if it is of another version
 * @see https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/backend/ndb/rpmpkg.c
 */
export function* readNdb(bytes: Uint8Array, skips: Skips): Generator<Uint8Array> {
  const file = new Binary(bytes, 'little');
  if (file.u32(4) !== 0) throw new Unreadable('it is of an unknown version');
  const end = file.u32(12) * PAGE_BYTES;
  if (end === 0) throw new Unreadable('it has no slots');
  if (end > file.length)
    skips.add('slots that are missing', 'database-unreadable', Math.ceil((end - file.length) / SLOT_BYTES));
  // The headers of a true database do not overlap.
  let left = file.length;
  for (let at = HEADER_BYTES; at + SLOT_BYTES <= Math.min(end, file.length); at += SLOT_BYTES) {
    try {
      if (file.u32(at) !== SLOT_MAGIC) throw new Unreadable('it is no slot');
      const index = file.u32(at + 4);
      if (index === 0) continue;
      const blob = file.u32(at + 8) * BLOCK_BYTES;
      if (file.u32(blob) !== BLOB_MAGIC || file.u32(blob + 4) !== index) throw new Unreadable('it is another package');
      const header = file.slice(blob + BLOB_HEADER_BYTES, file.u32(blob + 12));
      left -= header.length;
      if (left < 0) throw new Unreadable('its headers overlap');
      yield header;
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      skips.addOrStop('slots that cannot be read');
    }
  }
}
