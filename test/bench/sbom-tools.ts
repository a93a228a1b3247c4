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
  /** Writes the SBOM of an image in a format to a file. */
  write?(reference: string, path: string, format: string): Promise<unknown>;
  /** The package URLs that it finds in a document of another tool. */
  read?(document: string, folder: string): Promise<Set<string>>;
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
  licenses?: unknown[];
  version?: string;
  type?: string;
  properties?: { name: string; value: string }[];
  evidence?: { occurrences?: { location: string }[] };
}

/** How syft and trivy name the property of a place. */
const PLACE = /^(?:syft:location:\d+:path|aquasecurity:trivy:FilePath)$/;

function packagesIn(path: string): (Component & { purl: string })[] {
  const { components = [] } = JSON.parse(readFileSync(path, 'utf8')) as { components?: Component[] };
  return components.flatMap(({ purl, ...rest }) =>
    purl === undefined || rest.type === 'operating-system' ? [] : [{ purl, ...rest }],
  );
}

function cycloneDxPackages(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const { purl, properties = [], evidence } of packagesIn(documentIn(folder))) {
    const place = properties.find(({ name }) => PLACE.test(name))?.value ?? evidence?.occurrences?.[0]?.location;
    found.set(plainPurl(purl), (place ?? '').replace(/^\/?/, '/'));
  }
  return found;
}

/** The packages of the last run of a tool for which it names a licence. */
export function licensedPackages(folder: string): string[] {
  const licensed = packagesIn(documentIn(folder)).filter(({ licenses = [] }) => licenses.length > 0);
  return licensed.map(({ purl }) => plainPurl(purl));
}

/** The packages of the last run of acr-promoter, with the versions that people see. */
export function exactPackages(folder: string): string[] {
  return packagesIn(documentIn(folder)).map(({ purl, version = '' }) => {
    const { type, namespace, name } = PackageURL.fromString(purl);
    return plainPurl(new PackageURL(type, namespace, name, version).toString(), { isExact: true });
  });
}

/** `type/name@version`: without what tools write in different ways (qualifiers, and the namespace of a distribution). */
export function plainPurl(purl: string, { isExact = false } = {}): string {
  const { type, namespace, name, version } = PackageURL.fromString(purl);
  const isOfDistribution = type === 'deb' || type === 'rpm' || type === 'apk';
  const full = isOfDistribution || !namespace ? name : `${namespace}/${name}`;
  const isFolded = type === 'pypi' || type === 'nuget';
  const plain = isFolded ? full.toLowerCase().replaceAll(/[-_.]+/g, type === 'pypi' ? '-' : '.') : full;
  if (isExact) return `${type}/${plain}@${version ?? ''}`;
  // trivy writes an epoch into the version, and a v before that of Go's standard library.
  return `${type}/${plain}@${(version ?? '').replace(/^\d+:/, '').replace(plain === 'stdlib' ? /^v/ : /^$/, '')}`;
}

function sbomVerb(reference: string, path: string, format: string): Command {
  const verb = [resolve('bin/acr-promoter.mjs'), 'sbom', '--plain-http', '--platform', 'linux/amd64'];
  return { program: process.execPath, args: [...verb, '--format', format, '-o', path, reference] };
}

export function acrPromoter(): SbomTool {
  return {
    name: 'acr-promoter',
    run: (reference, folder) => measureWithDisk(sbomVerb(reference, documentIn(folder), 'cyclonedx'), folder),
    packages: cycloneDxPackages,
    write: (reference, path, format) => measure(sbomVerb(reference, path, format)),
  };
}

/** What a tool finds in a document, as it writes it into one of its own. */
async function readBy(command: Command, own: string): Promise<Set<string>> {
  await measure(command);
  return new Set(packagesIn(own).map(({ purl }) => plainPurl(purl)));
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
    read(document, folder) {
      const own = join(folder, 'syft.json');
      const args = ['convert', document, '-o', `cyclonedx-json=${own}`];
      return readBy({ program, args, env: { SYFT_CHECK_FOR_APP_UPDATE: 'false' } }, own);
    },
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
    read(document, folder) {
      const own = join(folder, 'trivy.json');
      const flags = ['--cache-dir', join(folder, 'trivy'), '--scanners', 'license', '--offline-scan'];
      const args = ['sbom', '-q', ...flags, '--format', 'cyclonedx', '-o', own, document];
      return readBy({ program, args, env: { TRIVY_DISABLE_VEX_NOTICE: 'true' } }, own);
    },
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
