import { Unreadable } from '../binary.js';
import { LONGEST_NAME, type Package } from '../cataloger.js';
import { listedDigest } from '../file-digests.js';
import type { Skips } from '../skips.js';
import type { TextRoom } from '../text-room.js';
import { TAGS, type RpmHeader } from './header.js';

const SOURCE_RPM = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/;
const [FILE_KIND, FOLDER] = [0o170_000, 0o040_000];
const LONGEST_PATH = 4096;

/** The package that an installed header describes. @throws Unreadable if it has no usable name or version */
export function packageOf(header: RpmHeader, room: TextRoom, skips: Skips): Package {
  const optional = (tag: number): string => usable(header.string(tag)) ?? '';
  const [epoch] = header.numbers(TAGS.epoch);
  const license = optional(TAGS.license);
  const md5 = header.binary(TAGS.signatureMd5);
  const described = {
    name: optional(TAGS.name),
    version: optional(TAGS.version),
    release: optional(TAGS.release),
    arch: optional(TAGS.arch),
    epoch: epoch ?? 0,
    vendor: optional(TAGS.vendor),
    sourceRpm: optional(TAGS.sourceRpm),
    module: optional(TAGS.modularityLabel),
  };
  return {
    ...rpmPackage(described),
    ...(license !== '' && { licenses: [license] }),
    ...(md5?.length === 16 && { hashes: [{ algorithm: 'MD5', hex: md5.toString('hex') }] }),
    ...listed('dependsOn', relations(header, TAGS.requires, room, skips)),
    ...listed('provides', relations(header, TAGS.provides, room, skips)),
    ...filesOf(header, room, skips),
  };
}

interface Described {
  name: string;
  version: string;
  release: string;
  arch: string;
  epoch: number;
  vendor: string;
  sourceRpm: string;
  module?: string;
}

/** Makes a package of what a header or a line says; absent texts are empty. @throws Unreadable without name or version */
export function rpmPackage(described: Described): Package {
  const { name, version, release, arch, epoch, vendor, sourceRpm, module = '' } = described;
  if (name === '' || version === '' || release === '') throw new Unreadable('it has no name or version');
  if (version.length + release.length >= LONGEST_NAME) throw new Unreadable('its version is too long');
  const [, source, sourceVersion] = SOURCE_RPM.exec(sourceRpm) ?? [];
  return {
    type: 'rpm',
    name,
    version: `${version}-${release}`,
    qualifiers: {
      ...(arch !== '' && { arch }),
      ...(epoch > 0 && { epoch: String(epoch) }),
      // As syft and grype name it: vulnerabilities of RHEL 8 are listed by module.
      ...(module !== '' && { rpmmod: module }),
    },
    ...(vendor !== '' && { supplier: vendor }),
    ...(source !== undefined && sourceVersion !== undefined && { source: { name: source, version: sourceVersion } }),
  };
}

function usable(text: string | undefined): string | undefined {
  if (text !== undefined && text.length > LONGEST_NAME) throw new Unreadable('a text is too long');
  return text;
}

function listed<Name extends keyof Package>(name: Name, values: string[]): Partial<Record<Name, string[]>> {
  return values.length === 0 ? {} : ({ [name]: values } as Record<Name, string[]>);
}

/** Names that a package requires or provides. Conditions on rpm itself (`rpmlib(…)`) are no packages. */
function relations(header: RpmHeader, tag: number, room: TextRoom, skips: Skips): string[] {
  const names = header.strings(tag).filter((name) => name !== '' && !name.startsWith('rpmlib('));
  return room.keepNames(names, skips, 'relations that take too much room');
}

/** Absolute paths of the files, with their digests. Folders are left out: several packages have them. */
function filesOf(header: RpmHeader, room: TextRoom, skips: Skips): Pick<Package, 'owns' | 'digests'> {
  const names = header.strings(TAGS.baseNames);
  const folders = header.strings(TAGS.dirNames);
  const indexes = header.numbers(TAGS.dirIndexes);
  const modes = header.numbers(TAGS.fileModes);
  const hashes = header.strings(TAGS.fileDigests);
  const isFile = (index: number): boolean => ((modes[index] ?? 0) & FILE_KIND) !== FOLDER;
  const owns: string[] = [];
  const digests: string[] = [];
  const keep = (folder: string, name: string, index: number): void => {
    const digest = listedDigest(hashes[index] ?? '');
    const chars = folder.length + name.length;
    if (chars > LONGEST_PATH || !room.take(chars + digest.length))
      skips.add('files of packages that take too much room');
    else if (!(folder + name).startsWith('/')) skips.add('files of packages without a folder');
    else {
      owns.push(folder + name);
      digests.push(digest);
    }
  };
  for (const [index, name] of names.entries())
    if (isFile(index)) keep(folders[indexes[index] ?? -1] ?? '', name, index);
  // Packages of RHEL 3 and before have whole paths.
  for (const [index, path] of header.strings(TAGS.oldFileNames).entries()) if (isFile(index)) keep('', path, index);
  return { ...listed('owns', owns), ...(hashes.length > 0 && { digests }) };
}
