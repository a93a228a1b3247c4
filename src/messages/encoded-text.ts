import { constants, gunzipSync } from 'node:zlib';
import { isRecord } from '../oci/index.js';

/** Bytes that are unpacked of a message's archives, to search them for secrets; what is in them beyond that isn't looked at. */
const UNPACKED_BYTES = 1024 * 1024;

/** What is still unpacked, in bytes: a message may have many archives in it, each of which is small. */
export interface Unpacking {
  bytes: number;
}

export function newUnpacking(): Unpacking {
  return { bytes: UNPACKED_BYTES };
}

/** The text in base64, where it is one: UTF-8, UTF-16, or packed by gzip (a tar archive too). */
export function readEncoded(base64: string, unpacking: Unpacking): string | undefined {
  const bytes = Buffer.from(base64, 'base64');
  const unpacked = unpack(bytes, unpacking);
  if (unpacked !== undefined) return textOf(unpacked);
  // Most of what could be base64 is a name or a digest, and comes out as no text; what is cut wrongly has a few broken letters.
  const text = textOf(bytes);
  const broken = text.match(/[^\P{Cc}\t\n\r]|\uFFFD/gu)?.length ?? 0;
  return broken * 20 > text.length ? undefined : text;
}

/** Bytes as a text that can be searched, whatever they are: what gzip has packed unpacked, UTF-16 without its zeros. */
export function readBytes(bytes: Buffer, unpacking: Unpacking): string {
  return textOf(unpack(bytes, unpacking) ?? bytes);
}

function textOf(bytes: Buffer): string {
  if (!bytes.includes(0)) return bytes.toString('utf8');
  // Between the files of an archive there are many zeros, and one beside each letter of UTF-16.
  return bytes
    .toString('latin1')
    .replace(/^(?:\xff\xfe|\xfe\xff)/, '')
    .replaceAll(/\0{2,}/g, '\n')
    .replaceAll('\0', '');
}

/** As much of it as may still be unpacked; undefined for what gzip hasn't packed. */
function unpack(bytes: Buffer, unpacking: Unpacking): Buffer | undefined {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return undefined;
  for (let { length } = bytes; length > 0 && unpacking.bytes > 0; length = Math.floor(length / 2)) {
    try {
      // What is cut comes out as far as it goes.
      const unpacked = gunzipSync(bytes.subarray(0, length), {
        maxOutputLength: unpacking.bytes,
        finishFlush: constants.Z_SYNC_FLUSH,
      });
      unpacking.bytes -= unpacked.length;
      return unpacked;
    } catch (error) {
      if (!isRecord(error) || error.code !== 'ERR_BUFFER_TOO_LARGE') return undefined;
    }
  }
  return undefined;
}
