import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PackageURL } from 'packageurl-js';
import { measure, type Command, type Measure } from './measure.js';

/** What one run of a tool took, and the most that it had in its temporary and cache folders, in MB (10^6). */
export interface ToolRun extends Measure {
  diskMb: number;
}

export interface SbomTool {
  name: string;
  /** Makes the SBOM of an image in a registry, with all that it keeps below `folder`. */
  run(reference: string, folder: string): Promise<ToolRun>;
  /** The packages of the last run in `folder`: for each package URL, where it was found, if the tool says so. */
  packages(folder: string): Map<string, string>;
}

function bytesBelow(folder: string): number {
  try {
    return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
      const path = join(folder, entry.name);
      return sum + (entry.isDirectory() ? bytesBelow(path) : statSync(path).size);
    }, 0);
  } catch {
    // A file that has been removed meanwhile.
    return 0;
  }
}

async function measureWithDisk(command: Command, folder: string): Promise<ToolRun> {
  const temporary = join(folder, 'tmp');
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  let peakBytes = 0;
  const look = (): void => {
    peakBytes = Math.max(peakBytes, bytesBelow(folder));
  };
  const before = bytesBelow(folder);
  const timer = setInterval(look, 200);
  const env = { TMPDIR: temporary, XDG_CACHE_HOME: join(folder, 'cache'), HOME: folder, ...command.env };
  try {
    const taken = await measure({ ...command, env });
    look();
    // The document itself is asked for, and is no temporary file.
    return { ...taken, diskMb: Math.max(0, peakBytes - before - sizeOf(documentIn(folder))) / 1e6 };
  } finally {
    clearInterval(timer);
  }
}

const documentIn = (folder: string): string => join(folder, 'document.json');

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

interface Component {
  purl?: string;
  type?: string;
  properties?: { name: string; value: string }[];
  evidence?: { occurrences?: { location: string }[] };
}

/** How syft and trivy name the property of a place. */
const PLACE = /^(?:syft:location:\d+:path|aquasecurity:trivy:FilePath)$/;

function cycloneDxPackages(folder: string): Map<string, string> {
  const document = JSON.parse(readFileSync(documentIn(folder), 'utf8')) as { components?: Component[] };
  const found = new Map<string, string>();
  for (const { purl, type, properties = [], evidence } of document.components ?? []) {
    if (purl === undefined || type === 'operating-system') continue;
    const place = properties.find(({ name }) => PLACE.test(name))?.value ?? evidence?.occurrences?.[0]?.location;
    found.set(plainPurl(purl), (place ?? '').replace(/^\/?/, '/'));
  }
  return found;
}

/** `type/name@version`: without what tools write in different ways (qualifiers, and the namespace of a distribution). */
export function plainPurl(purl: string): string {
  const { type, namespace, name, version } = PackageURL.fromString(purl);
  const isOfDistribution = type === 'deb' || type === 'rpm' || type === 'apk';
  const full = isOfDistribution || !namespace ? name : `${namespace}/${name}`;
  const isFolded = type === 'pypi' || type === 'nuget';
  const plain = isFolded ? full.toLowerCase().replaceAll(/[-_.]+/g, type === 'pypi' ? '-' : '.') : full;
  // trivy writes an epoch into the version, and a v before that of Go's standard library.
  return `${type}/${plain}@${(version ?? '').replace(/^\d+:/, '').replace(plain === 'stdlib' ? /^v/ : /^$/, '')}`;
}

export function acrPromoter(): SbomTool {
  return {
    name: 'acr-promoter',
    run: (reference, folder) =>
      measureWithDisk(
        {
          program: process.execPath,
          args: [
            resolve('bin/acr-promoter.mjs'),
            'sbom',
            '--plain-http',
            '--platform',
            'linux/amd64',
            '-o',
            documentIn(folder),
            reference,
          ],
        },
        folder,
      ),
    packages: cycloneDxPackages,
  };
}

export function syft(program: string): SbomTool {
  return {
    name: 'syft',
    run: (reference, folder) =>
      measureWithDisk(
        {
          program,
          args: ['scan', '-q', `registry:${reference}`, '-o', `cyclonedx-json=${documentIn(folder)}`],
          env: { SYFT_REGISTRY_INSECURE_USE_HTTP: 'true', SYFT_CHECK_FOR_APP_UPDATE: 'false' },
        },
        folder,
      ),
    packages: cycloneDxPackages,
  };
}

export function trivy(program: string): SbomTool {
  return {
    name: 'trivy',
    run: (reference, folder) => {
      writeJavaDatabase(join(folder, 'trivy'));
      const flags = [
        '--cache-dir',
        join(folder, 'trivy'),
        '--image-src',
        'remote',
        '--insecure',
        '--offline-scan',
        '--skip-java-db-update',
      ];
      const args = ['image', '-q', ...flags, '--format', 'cyclonedx', '-o', documentIn(folder), reference];
      return measureWithDisk({ program, args, env: { TRIVY_DISABLE_VEX_NOTICE: 'true' } }, folder);
    },
    packages: cycloneDxPackages,
  };
}

/** trivy stops at images with jars if it has no database of jars: an empty one gets it going. */
function writeJavaDatabase(cache: string): void {
  const folder = join(cache, 'java-db');
  if (sizeOf(join(folder, 'metadata.json')) > 0) return;
  mkdirSync(folder, { recursive: true });
  const database = new DatabaseSync(join(folder, 'trivy-java.db'));
  database.exec('CREATE TABLE artifacts(id INTEGER PRIMARY KEY, group_id TEXT, artifact_id TEXT)');
  database.exec('CREATE TABLE indices(artifact_id INTEGER, version TEXT, sha1 BLOB, archive_type TEXT)');
  database.close();
  const now = new Date().toISOString();
  const metadata = { Version: 1, NextUpdate: '2100-01-01T00:00:00Z', UpdatedAt: now, DownloadedAt: now };
  writeFileSync(join(folder, 'metadata.json'), JSON.stringify(metadata));
}
