import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import type { SampleFile } from './sample-npm.js';

const run = promisify(execFile);
const NAME = 'acr-promoter-sample';
const TIMEOUT_MS = 20_000;

const CONTROL = `Package: ${NAME}
Version: 1.0-1
Architecture: all
Maintainer: acr-promoter <acr-promoter@example.com>
Section: doc
Priority: optional
Description: what the sample image of acr-promoter says of itself
 Made and installed by dpkg when the sample image was made.
`;

/** The files of dpkg's folder that are the same in every run. */
const KEPT = /^var\/lib\/dpkg\/(?:status$|arch$|info\/)/;

async function filesBelow(root: string): Promise<SampleFile[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files: SampleFile[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    const path = relative(root, full);
    if (path.startsWith('var/log/') || (path.startsWith('var/lib/dpkg/') && !KEPT.test(path))) continue;
    files.push({ path, bytes: await readFile(full) });
  }
  return files;
}

/**
 * A package that this machine's dpkg built and installed into a folder: its files and dpkg's database. Empty without
 * dpkg; with a note if dpkg failed.
 */
export async function sampleDpkgDatabase(checkout: string): Promise<{ files: SampleFile[]; note?: string }> {
  const work = await mkdtemp(join(tmpdir(), 'acr-promoter-sample-'));
  try {
    const source = join(work, 'package');
    const documents = join(source, 'usr/share/doc', NAME);
    await mkdir(join(source, 'DEBIAN'), { recursive: true, mode: 0o755 });
    await mkdir(documents, { recursive: true });
    await writeFile(join(source, 'DEBIAN/control'), CONTROL);
    await copyFile(join(checkout, 'LICENSE'), join(documents, 'copyright'));
    const archive = join(work, `${NAME}.deb`);
    await run('dpkg-deb', ['--root-owner-group', '-Znone', '--build', source, archive], { timeout: TIMEOUT_MS });

    const root = join(work, 'root');
    const database = join(root, 'var/lib/dpkg');
    await mkdir(join(database, 'info'), { recursive: true });
    await mkdir(join(database, 'updates'));
    await writeFile(join(database, 'status'), '');
    await writeFile(join(database, 'available'), '');
    const force = ['not-root', 'script-chrootless', 'bad-path', 'unsafe-io'].map((what) => `--force-${what}`);
    await run('dpkg', [`--root=${root}`, ...force, '--install', archive], { timeout: TIMEOUT_MS });
    const files = await filesBelow(root);
    const release = await readFile('/etc/os-release').catch(() => undefined);
    if (release !== undefined) files.push({ path: 'etc/os-release', bytes: release });
    return { files };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT' && 'syscall' in error)
      return { files: [] };
    const reason = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return { files: [], note: `dpkg is installed but created no database: ${reason.trim().slice(0, 300)}` };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
