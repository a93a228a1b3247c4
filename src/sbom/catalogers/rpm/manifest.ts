import { Unreadable } from '../binary.js';
import { LONGEST_NAME, type Package } from '../cataloger.js';
import { linesOf } from '../lines.js';
import type { Skips } from '../skips.js';
import { rpmPackage } from './package.js';

/** Columns of a line: name, version-release, install time, build time, vendor, epoch, size, arch, epoch, source. */
const COLUMNS = 10;

/**
 * Yields the packages of `container-manifest-2`, which distroless images of Azure Linux have instead of a database: a
 * line for each package. It has no files, licenses or relations.
 * @see https://github.com/microsoft/azurelinux/blob/3.0/toolkit/tools/imagegen/installutils/installutils.go
 */
export function* readManifest(bytes: Uint8Array, skips: Skips): Generator<Package> {
  for (const line of linesOf(bytes)) {
    if (line.length === 0) continue;
    const columns = line.length > COLUMNS * LONGEST_NAME ? [] : line.toString('utf8').split('\t');
    const [name = '', full = '', , , vendor = '', , , arch = '', epoch = '', sourceRpm = ''] = columns.map((text) =>
      text === '(none)' ? '' : text,
    );
    const dash = full.lastIndexOf('-');
    try {
      if (columns.length !== COLUMNS || columns.some((text) => text.length > LONGEST_NAME))
        throw new Unreadable('it has other columns');
      const [version, release] = [full.slice(0, Math.max(dash, 0)), full.slice(dash + 1)];
      yield rpmPackage({ name, version, release, arch, epoch: Number(epoch) || 0, vendor, sourceRpm });
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      skips.addOrStop('lines that are no packages');
    }
  }
}
