import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../../../local/registry/server.js';
import { run } from '../../../../src/cli/run.js';
import { createMemoryIo } from '../../../support/memory-io.js';

const PASSWORD = 'S3cretQ9';
let folder: string;
let registry: RunningRegistry;
const before = process.cwd();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'typed-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
  process.chdir(folder);
  await writeFile('f.txt', 'f');
  expect((await acrPromoter(['push', `${registry.name}/m/x:v1`, 'f.txt'])).code).toBe(0);
});
afterAll(async () => {
  process.chdir(before);
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

async function acrPromoter(argv: string[]): Promise<{ code: number; printed: string }> {
  const { io, out, err } = createMemoryIo({ env: { DOCKER_CONFIG: join(folder, 'docker') } });
  const code = await run(argv, io);
  return { code, printed: `${out().toString()}${err()}` };
}

/** `REF` is what somebody has written with a password, `GOOD` an artifact that is there. */
const LINES = [
  'login REF -u a -p b',
  'logout REF',
  'repo ls REF',
  'repo tags REF',
  'resolve REF',
  'discover REF',
  'pull REF',
  'push REF f.txt',
  'push GOOD REF',
  'push --resolve REF GOOD f.txt',
  'push --artifact-platform REF GOOD f.txt',
  'push --artifact-type REF GOOD f.txt',
  'attach --artifact-type a/b REF f.txt',
  'tag REF v2',
  'tag GOOD REF',
  'copy REF GOOD',
  'copy GOOD REF',
  'manifest fetch REF',
  'manifest fetch --platform REF GOOD',
  'manifest fetch-config REF',
  'manifest push REF f.txt',
  'manifest push GOOD REF',
  'manifest delete --force REF',
  'manifest index create REF v1',
  'manifest index create GOOD REF',
  'manifest index update GOOD --add REF',
  'manifest index update GOOD --remove REF',
  'blob fetch --descriptor REF',
  'blob push REF f.txt',
  'blob delete --force REF',
  'verify REF',
  'sbom REF',
  'sign REF',
  'promote REF',
  'jobs status REF',
  'resolve --submit REF',
  'tag --submit --app http://127.0.0.1:1 GOOD REF',
  'REF',
  'repo REF',
  'resolve --REF GOOD',
  'resolve GOOD REF',
];
const SHAPES = [
  'https://admin:S3cretQ9@HOST/m/x:v1',
  'https://admin:S3cretQ9@HOST',
  '//admin:S3cretQ9@HOST/m/x:v1',
  'oci://admin:S3cretQ9@HOST/m/x',
  'admin:S3cretQ9@HOST/m/x:v1',
  'admin:S3cretQ9@HOST',
  'admin:a/S3cretQ9@HOST/m/x:v1',
  `https://admin:${PASSWORD.repeat(60)}@HOST/m/x:v1`,
  'HOST?token=S3cretQ9',
  'HOST/m/x:v1?token=S3cretQ9',
  'admin:S3cretQ9@x:1:2',
];

describe.each(LINES)('%s', (line) => {
  test.each(SHAPES)('%s', async (shape) => {
    const typed = shape.replace('HOST', registry.name);
    const argv = line.split(' ').map((word) => word.replace('REF', typed).replace('GOOD', `${registry.name}/m/x:v1`));
    const { code, printed } = await acrPromoter(argv);
    expect(printed).not.toContain(PASSWORD);
    // A logout succeeds, also without a stored credential.
    expect(code).toBe(line.startsWith('logout') ? 0 : 1);
  });
});
