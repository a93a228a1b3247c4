// Writes a folder as a zip. The same content gives the same bytes.
// usage: node tools/zip.mjs FOLDER FILE
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Zip, ZipDeflate } from 'fflate';

// Zip stores local time without a zone, so every entry has the same fixed time.
const TIME = new Date(1980, 0, 1);
const UNIX = 3;

/** The files of a folder, as names with slashes in a fixed order. */
export function listFiles(folder, prefix = '') {
  const names = [];
  for (const entry of readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const name = prefix + entry.name;
    if (entry.isDirectory()) names.push(...listFiles(folder, `${name}/`));
    else if (entry.isFile()) names.push(name);
    else throw new Error(`${name} is neither a file nor a folder: it can't go into the zip`);
  }
  return names.sort((a, b) => Number(a > b) - Number(a < b));
}

/** Writes the zip with one file in memory at a time. @returns the number of files */
export function writeZip(folder, path) {
  const out = openSync(path, 'w');
  try {
    const zip = new Zip((error, chunk) => {
      if (error) throw error;
      writeSync(out, chunk);
    });
    const names = listFiles(folder);
    for (const name of names) {
      const file = join(folder, name);
      const entry = new ZipDeflate(name, { level: 9, mtime: TIME, os: UNIX });
      const mode = lstatSync(file).mode & 0o100 ? 0o100755 : 0o100644;
      entry.os = UNIX;
      entry.attrs = mode * 0x10000;
      entry.mtime = TIME;
      zip.add(entry);
      entry.push(readFileSync(file), true);
    }
    zip.end();
    return names.length;
  } finally {
    closeSync(out);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, path] = process.argv.slice(2);
  if (!folder || !path) {
    process.stderr.write('usage: node tools/zip.mjs FOLDER FILE\n');
    process.exit(2);
  }
  writeZip(folder, path);
}
