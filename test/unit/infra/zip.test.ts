import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';

const tool = join('tools', 'zip.mjs');

function write(folder: string, names: string[]): void {
  for (const name of names) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), `content of ${name}`);
  }
}

describe('tools/zip.mjs', () => {
  let folder: string;
  const names = ['b/one.js', 'a.json', 'b/a/ü.js', 'b-c.js', 'z'];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'acr-promoter-zip-'));
    write(join(folder, 'first'), names);
    write(join(folder, 'second'), names.toReversed());
    utimesSync(join(folder, 'second', 'z'), 1, 1);
    chmodSync(join(folder, 'second', 'z'), 0o600);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function zip(name: string, env: Record<string, string> = {}): Buffer {
    const path = join(folder, `${name}.zip`);
    execFileSync(process.execPath, [tool, join(folder, name), path], { env: { ...process.env, ...env } });
    return readFileSync(path);
  }

  test('gives the same bytes in another time zone, order and time', () => {
    const first = zip('first', { TZ: 'Asia/Tokyo' });
    expect(zip('second', { TZ: 'America/Lima' }).equals(first)).toBe(true);
    const files = unzipSync(first);
    expect(Object.keys(files)).toEqual(['a.json', 'b-c.js', 'b/a/ü.js', 'b/one.js', 'z']);
    expect(strFromU8(files['b/a/ü.js'] ?? new Uint8Array())).toBe('content of b/a/ü.js');
  });

  test('refuses a symbolic link', () => {
    write(join(folder, 'linked'), ['a']);
    symlinkSync('a', join(folder, 'linked', 'b'));
    const ran = spawnSync(process.execPath, [tool, join(folder, 'linked'), join(folder, 'linked.zip')]);
    expect(ran.status).not.toBe(0);
    expect(String(ran.stderr)).toContain('b is neither a file nor a folder');
  });
});
