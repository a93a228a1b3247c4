import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { startRegistry, type RegistryOptions } from '../../local/registry/server.js';
import { describeWithPeers } from '../support/peers.js';

const MODULE = 'github.com/opencontainers/distribution-spec/conformance';
/** The newest that the module proxy has; the tags v1.1.x can't be had there. */
const VERSION = 'v0.0.0-20260831232431-97274622c111';
const FEWEST_TESTS = 850;
const CACHE = process.env['ACR_PROMOTER_PEERS'] ?? join(tmpdir(), 'acr-promoter-peers');

const run = promisify(execFile);

interface Results {
  config: { registry: string; version: string };
  apis: Record<string, string>;
  data: Record<string, string>;
}

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'conformance-'));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

/** The suite's program: built once, and kept in the cache under its version. */
async function suite(go: string): Promise<string> {
  const program = join(CACHE, `conformance-${VERSION}`);
  if (existsSync(program)) return program;
  await mkdir(CACHE, { recursive: true });
  const module = await mkdtemp(join(CACHE, 'build-'));
  const env = { ...process.env, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', GO111MODULE: 'on', GOWORK: 'off' };
  try {
    // A module of its own: `go install` refuses versions of a module that lists none.
    await run(go, ['mod', 'init', 'conformance'], { cwd: module, env });
    await run(go, ['get', '-tool', `${MODULE}@${VERSION}`], { cwd: module, env });
    await run(go, ['build', '-o', 'program', MODULE], { cwd: module, env });
    await rename(join(module, 'program'), program);
  } finally {
    await rm(module, { recursive: true, force: true });
  }
  return program;
}

/** Runs the suite against a registry of its own. It exits 0 whatever it skips: the figures count. */
async function conformance(go: string, options: Partial<RegistryOptions>, environment: Record<string, string> = {}) {
  const work = await mkdtemp(join(folder, 'run-'));
  const registry = await startRegistry({ anonymous: true, sparse: true, ...options, dataDir: join(work, 'data') });
  try {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('OCI_'));
    const results = join(work, 'results');
    const { stdout } = await run(await suite(go), [], {
      cwd: work,
      maxBuffer: 64 * 1024 * 1024,
      env: {
        ...Object.fromEntries(inherited),
        OCI_REGISTRY: registry.name,
        OCI_TLS: 'disabled',
        OCI_VERSION: '1.1',
        OCI_RESULTS_DIR: results,
        OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
        OCI_API_BLOBS_DIGEST_HEADER: 'true',
        OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
        OCI_DATA_SPARSE: 'true',
        ...environment,
      },
    }).catch((error: unknown) => ({ stdout: String((error as { stdout?: unknown }).stdout) }));
    const yaml = parse(await readFile(join(results, 'results.yaml'), 'utf8')) as Results;
    const junit = await readFile(join(results, 'junit.xml'), 'utf8');
    return { yaml, counts: countsOf(stdout), junit, registry: registry.name, log: [...registry.log] };
  } finally {
    await registry.close();
  }
}

/** The table that the suite prints: `Pass....: 908`. */
function countsOf(stdout: string): Record<string, number> {
  const lines = stdout.matchAll(/^ {2}(Disabled|Skip|Pass|FAIL|Error|Total)\.*: +(\d+)$/gm);
  return Object.fromEntries([...lines].map(([, name = '', count = '']) => [name, Number(count)]));
}

function expectGreen({ yaml, counts, junit, registry }: Awaited<ReturnType<typeof conformance>>, disabled: string[]) {
  expect(yaml.config).toMatchObject({ registry, version: '1.1' });
  expect(counts).toMatchObject({ Skip: 0, FAIL: 0, Error: 0 });
  expect(counts.Total).toBeGreaterThanOrEqual(FEWEST_TESTS);
  expect((counts.Pass ?? 0) + (counts.Disabled ?? 0)).toBe(counts.Total);
  expect(junit).toContain(`tests="${counts.Total}" failures="0" errors="0"`);
  const statuses = Object.entries({ ...yaml.apis, ...yaml.data });
  expect(statuses.filter(([, status]) => status !== 'Pass' && status !== 'Disabled')).toEqual([]);
  const found = statuses.filter(([, status]) => status === 'Disabled').map(([name]) => name);
  expect(found.toSorted()).toEqual(disabled.toSorted());
}

const TAG_PARAMETERS = ['Manifest put with tag params', 'Tag Param', 'Tag Param sha512'];

describeWithPeers('the OCI conformance suite', ['go'], ([go = '']) => {
  test('the local registry passes by default', async () => {
    expectGreen(await conformance(go, {}), TAG_PARAMETERS);
  }, 600_000);

  test('the local registry passes with tokens, and refuses requests without one', async () => {
    const users = [{ name: 'admin', password: 'secret' }];
    const environment = { OCI_USERNAME: 'admin', OCI_PASSWORD: 'secret' };
    const result = await conformance(go, { anonymous: false, users }, environment);
    expectGreen(result, TAG_PARAMETERS);
    const without = result.log.filter(({ path, token }) => token !== 'valid' && !path.startsWith('/oauth2/'));
    expect(without.length).toBeGreaterThan(0);
    expect(without.filter(({ status }) => status !== 401)).toEqual([]);
  }, 600_000);

  test('the local registry passes without the referrers API', async () => {
    const result = await conformance(go, { quirks: { noReferrersApi: true } }, { OCI_API_REFERRER: 'false' });
    expectGreen(result, [...TAG_PARAMETERS, 'Referrers']);
  }, 600_000);

  test('the local registry passes with absolute Locations and blobs redirected to another host', async () => {
    const quirks = { absoluteLocations: true, redirectBlobs: true };
    // A blob store has no header for digests.
    expectGreen(await conformance(go, { quirks }, { OCI_API_BLOBS_DIGEST_HEADER: 'false' }), TAG_PARAMETERS);
  }, 600_000);
});
