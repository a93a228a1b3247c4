import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import type { LocatedPackage } from '../../src/sbom/catalogers/cataloger.js';
import { makeSboms } from '../../src/sbom/documents/make.js';
import { Gaps } from '../../src/sbom/gaps.js';
import type { Sbom } from '../../src/sbom/generator.js';
import { parseImageConfig } from '../../src/sbom/image-config.js';
import { SBOM_LIMITS } from '../../src/sbom/limits.js';
import { describeWithPeers, findPeer } from '../support/peers.js';
import { RICH_PACKAGES } from '../support/rich-packages.js';

const run = promisify(execFile);
/** The Go module with the schema of SPDX 2.3, which is not copied into this repository. */
const SCHEMA_MODULE = 'github.com/anchore/syft@v1.57.0';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-documents-'));
});
afterAll(() => rm(folder, { recursive: true }));

function documentsOf(packages: readonly LocatedPackage[]): Sbom[] {
  const gaps = new Gaps(SBOM_LIMITS);
  gaps.add('unowned-binaries', 'opt/tool (ELF)');
  const config = parseImageConfig(Buffer.from('{"architecture":"amd64","created":"2026-01-02T03:04:05Z"}'));
  return makeSboms(
    {
      name: 'registry.example/samples/app',
      digest: `sha256:${'d'.repeat(64)}`,
      config,
      distro: { id: 'debian', versionId: '12' },
      packages,
      gaps,
      covered: ['dpkg', 'npm'],
    },
    ['cyclonedx', 'spdx'],
    SBOM_LIMITS,
  );
}

/** Packages of types that syft and trivy read, too. */
const PLAIN_PACKAGES = RICH_PACKAGES.filter(({ type, name }) => type !== 'generic' && /^[\w-]+$/.test(name));

async function fileOf(format: string): Promise<string> {
  const sbom = documentsOf(PLAIN_PACKAGES).find((each) => each.format === format);
  const path = join(folder, sbom?.fileName ?? '');
  await writeFile(path, sbom?.bytes ?? '');
  return path;
}

/** The operating system is a package in SPDX, and syft lists it as one. */
const SYSTEM = 'debian 12';
const EXPECTED = [...new Set(PLAIN_PACKAGES.map(({ name, version }) => `${name} ${version}`))].sort();

describeWithPeers('an SPDX document', ['go'], ([go = '']) => {
  test('is valid SPDX 2.3', async () => {
    const { stdout } = await run(go, ['mod', 'download', '-json', SCHEMA_MODULE], { cwd: folder });
    const { Dir } = JSON.parse(stdout) as { Dir: string };
    const schema = JSON.parse(await readFile(join(Dir, 'schema/spdx-json/spdx-schema-2.3.json'), 'utf8')) as object;
    const isValid = new Ajv({ strict: false, formats: {} }).compile(schema);
    for (const packages of [RICH_PACKAGES, PLAIN_PACKAGES, []]) {
      const bytes = documentsOf(packages)[1]?.bytes ?? Buffer.alloc(0);
      isValid(JSON.parse(Buffer.from(bytes).toString()));
      expect(isValid.errors ?? []).toEqual([]);
    }
    isValid({ spdxVersion: 'SPDX-2.3' });
    expect(isValid.errors).not.toEqual([]);
  }, 300_000);
});

/** `describe` where a program is there that takes minutes to build: in the full run it must be. */
function describeIfThere(program: string, tests: (path: string) => void): void {
  const path = findPeer(program);
  if (path !== undefined || process.env.FULL === '1') describe(program, () => tests(path ?? program));
}

describeWithPeers('pyspdxtools', ['pyspdxtools'], ([path = '']) => {
  test('finds no fault in the SPDX document', async () => {
    await run(path, ['--infile', await fileOf('spdx'), '--version', 'SPDX-2.3']);
  }, 120_000);
});

describeIfThere('trivy', (trivy) => {
  test.each(['cyclonedx', 'spdx'])(
    'finds all packages in the %s document',
    async (format) => {
      const options = ['sbom', '--scanners', 'license', '--list-all-pkgs', '--format', 'json', '--quiet'];
      const { stdout } = await run(trivy, [...options, '--cache-dir', join(folder, 'trivy'), await fileOf(format)]);
      const { Results = [], Metadata } = JSON.parse(stdout) as {
        Results?: { Packages?: { Name: string; Version: string; Epoch?: number; Release?: string }[] }[];
        Metadata: { OS?: unknown };
      };
      expect(Metadata.OS).toMatchObject({ Family: 'debian', Name: '12' });
      const found = Results.flatMap(({ Packages = [] }) => Packages);
      expect(new Set(found.map(({ Name }) => Name.replace(/^.*[/:]/, '')))).toEqual(
        new Set(PLAIN_PACKAGES.map(({ name }) => name)),
      );
    },
    120_000,
  );
});

describeIfThere('syft', (syft) => {
  test.each(['cyclonedx', 'spdx'])(
    'finds all packages in the %s document',
    async (format) => {
      const env = { ...process.env, SYFT_CHECK_FOR_APP_UPDATE: 'false' };
      const { stdout } = await run(syft, ['convert', await fileOf(format), '-o', 'syft-json'], { env });
      const { artifacts } = JSON.parse(stdout) as { artifacts: { name: string; version: string }[] };
      const found = artifacts.map(({ name, version }) => `${name.replace(/^.*[/:]/, '')} ${version}`);
      expect([...new Set(found)].filter((each) => each !== SYSTEM).sort()).toEqual(EXPECTED);
    },
    120_000,
  );
});
