import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { run } from '../../../src/cli/run.js';
import { createSelfSignedCertificate } from '../../support/self-signed.js';
import { writeImage } from '../../support/stack/images.js';
import { DrawnTerminal } from '../../support/drawn-terminal.js';
import { createMemoryIo } from '../../support/memory-io.js';

// sbom, sign, verify and promote on this machine. test/interop/at-once.test.ts has them beside oras and notation.

let folder = '';
let registry: RunningRegistry;
let image = '';
let turn = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'at-once-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
  const { keyPem, certificatePem } = createSelfSignedCertificate({ commonName: 'here', days: 30 });
  await writeFile(join(folder, 'key.pem'), keyPem);
  await writeFile(join(folder, 'chain.pem'), certificatePem);
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  turn += 1;
  const layout = join(folder, `layout-${turn}`);
  image = `localhost:${registry.port}/samples/app-${turn}:v1`;
  expect(
    await cli('copy', '--from-oci-layout', `${layout}@${await writeImage(layout, `image ${turn}`)}`, image),
  ).toMatchObject({
    code: 0,
  });
});

interface Seen {
  code: number;
  out: string;
  err: string;
  screen: string;
}

/** @param argv `TERMINAL` first: before a terminal; the key is in the environment, as the app has it */
async function cli(...argv: string[]): Promise<Seen> {
  const key = { SIGNING_KEY: join(folder, 'key.pem'), SIGNING_CERTIFICATE_CHAIN: join(folder, 'chain.pem') };
  return cliWith(key, ...argv);
}

async function cliWith(env: Record<string, string>, ...argv: string[]): Promise<Seen> {
  const before = argv[0] === 'TERMINAL';
  const { io, out, err } = createMemoryIo({
    env: { DOCKER_CONFIG: folder, PROMOTION_RULES: join(folder, 'rules.yaml'), ...env },
  });
  const terminal = new DrawnTerminal();
  if (before) io.terminal = terminal;
  const code = await run(before ? argv.slice(1) : argv, io);
  return { code, out: out().toString(), err: err(), screen: terminal.seen().join('\n') };
}

async function writeRules(more = ''): Promise<void> {
  const host = `localhost:${registry.port}`;
  const rules = `rules: [{ name: here, source: { registry: '${host}', repositories: ['samples/**'] }, destination: { reference: '${host}/staging/{repository}:{tag}' }${more} }]`;
  await writeFile(join(folder, 'rules.yaml'), rules);
}

test('long work shows a progress bar on a terminal, and standard output stays the same', async () => {
  const plain = await cli('sbom', '-o', join(folder, 'a.json'), image);
  const seen = await cli('TERMINAL', 'sbom', '-o', join(folder, 'b.json'), image);
  expect(seen.screen).toMatch(/✓ Reading image .*100%/);
  expect(seen.out).toBe(plain.out.replace('a.json', 'b.json'));
  expect(await readFile(join(folder, 'b.json'), 'utf8')).toBe(await readFile(join(folder, 'a.json'), 'utf8'));
  expect((await cli('TERMINAL', 'sbom', '-o', '-', image)).screen).toBe('');
  expect((await cli('TERMINAL', 'sbom', '--attach', '--no-tty', image)).screen).toBe('');
  await writeRules();
  const promoted = await cli('TERMINAL', 'promote', image);
  expect(promoted).toMatchObject({ code: 0, err: '' });
  expect(promoted.screen).toMatch(/✓ Copying localhost:\d+\/staging\/samples\/app-1:v1 .*100%/);
  expect(promoted.out).toContain('Promoted [here] ');
});

test('a rules document that does not exist is reported with the option that named it', async () => {
  const { code, err } = await cli('promote', '--rules', join(folder, 'none.yaml'), image);
  expect(code).toBe(1);
  expect(err).toMatch(/^Error: --rules: \S+none\.yaml cannot be read \(RULES_UNREADABLE\)\nSet --rules to a file /);
});

test('key, certificate chain and rules are read from the settings of the app in the environment', async () => {
  await writeRules();
  expect(await cli('sign', image)).toMatchObject({ code: 0, err: '' });
  const trust = ['verify', '--trust-store', join(folder, 'chain.pem')];
  expect((await cli(...trust, image)).out).toMatch(/^Signed by CN=here/);
  const { out, code } = await cli('promote', image, '--format', 'json');
  expect({ code, out: JSON.parse(out) as unknown }).toMatchObject({
    code: 0,
    out: { promotions: [{ rule: 'here', outcome: 'promoted' }] },
  });
  const at = image.replace('/samples/', '/staging/samples/');
  expect((await cli(...trust, at)).code).toBe(0);
});

test('promote --dry-run says what would be attached, copied and mounted, and writes nothing', async () => {
  await writeRules();
  const at = image.replace('/samples/', '/staging/samples/');
  const planned = async (): Promise<unknown> => {
    const { code, out } = await cli('promote', '--dry-run', '--format', 'json', image);
    expect(code).toBe(0);
    return (JSON.parse(out) as { promotions: unknown[] }).promotions[0];
  };
  const digest = (await cli('resolve', image)).out.trim();
  const before = { rule: 'here', source: image, destination: at, digest, gate: [], exists: { count: 0, bytes: 0 } };
  const first = await planned();
  expect(first).toMatchObject({
    ...before,
    attach: [{ label: 'image', digest, sbom: true, signature: true, readBytes: expect.any(Number) }],
    copy: { count: 1, bytes: (await cli('manifest', 'fetch', image)).out.length },
    mount: { count: 2, bytes: expect.any(Number) },
  });
  expect(await planned()).toEqual(first);
  expect((await cli('resolve', at)).code).toBe(1);
  expect((await cli('discover', '--format', 'json', image)).out).toContain('"referrers": []');
  expect((await cli('promote', '--dry-run', image)).out).toMatch(
    /^Would promote \[here\] \S+ => \S+\n {2}attach {2}image: SBOM \(reads \d+ bytes\), signatures of both\n {2}copy/,
  );
  expect((await cli('promote', image)).code).toBe(0);
  expect(await planned()).toMatchObject({
    attach: [],
    copy: { count: 0, bytes: 0 },
    mount: { count: 0, bytes: 0 },
    replaces: digest,
  });
  expect((await cli('promote', '--dry-run', image)).out).toMatch(/^Nothing to do \[here\] /);
});

test('with attachTo: destination, promote --dry-run does not attach what the copy brings along', async () => {
  await writeRules(', attachTo: destination');
  expect((await cli('sbom', '--attach', image)).code).toBe(0);
  expect((await cli('sign', image)).code).toBe(0);
  const { out } = await cli('promote', '--dry-run', image);
  expect(out).toMatch(/^Would promote \[here\] /);
  expect(out).not.toContain('  attach');
  expect(out).toMatch(/\n {2}mount {3}\d+ blobs, \d+ bytes\n/);
  await writeRules(
    `, attachTo: destination, referrers: { excludeArtifactTypes: ['application/vnd.cncf.notary.signature'] }`,
  );
  expect((await cli('promote', '--dry-run', image)).out).toMatch(
    /\n {2}attach {2}image: SBOM .*, signatures of both\n/,
  );
});

test('without a signing key, promote fails before it copies, and its dry run fails, too', async () => {
  await writeRules(', attachTo: destination');
  for (const more of [['--dry-run'], []]) {
    const { code, err } = await cliWith({}, 'promote', ...more, image);
    expect(code).toBe(1);
    expect(err).toMatch(/\(SIGNING_KEY_MISSING\)\nGive --signing-key and --certificate-chain, /);
  }
  const repository = image.replace('/samples/', '/staging/samples/').replace(':v1', '');
  const digest = (await cli('resolve', image)).out.trim();
  expect((await cli('resolve', `${repository}@${digest}`)).code).toBe(1);
  await writeRules(', mode: observe');
  expect((await cliWith({}, 'promote', '--dry-run', image)).code).toBe(0);
});

test('if no rule matches, promote prints a copy command that a shell can parse', async () => {
  await writeRules();
  const { err } = await cli('promote', image.replace('/samples/', '/other/'));
  expect(err).toMatch(/\(NO_RULE_MATCHES\)\n.*: acr-promoter copy -r \S+\/other\/\S+ DESTINATION\n/);
});

test('promote --dry-run says why a gate is closed', async () => {
  const trusted = join(folder, 'chain.pem');
  await writeRules(
    `, verify: { signatures: [{ format: notary, trustStore: '${trusted}', identities: ['x509.subject: C=US'] }] }`,
  );
  const { code, out } = await cli('promote', '--dry-run', image);
  expect(code).toBe(0);
  expect(out).toMatch(/\n {2}gate {4}closed: no notary signature/);
});

test('promote names an image that it leaves at the source, and promotes the rest', async () => {
  await writeRules();
  const { out: digest } = await cli('resolve', image);
  const layout = join(folder, `other-${turn}`);
  const other = await writeImage(layout, 'another');
  const tag = `${digest.trim().replace(':', '-')}.sig`;
  await cli('copy', '--from-oci-layout', `${layout}@${other}`, image.replace(':v1', `:${tag}`));
  const { code, out } = await cli('promote', image);
  expect([code, out]).toEqual([0, expect.stringContaining(`left out ${other} (REFERRER_IS_IMAGE)`)]);
  const at = image.replace('/samples/', '/staging/samples/').replace(':v1', '');
  expect((await cli('resolve', `${at}:v1`)).out.trim()).toBe(digest.trim());
  expect((await cli('resolve', `${at}@${other}`)).code).toBe(1);
});

test('if one rule fails, the others are tried, and the command fails', async () => {
  const host = `localhost:${registry.port}`;
  const rule = (name: string, more: string): string =>
    `{ name: ${name}, source: { registry: '${host}', repositories: ['samples/**'] }, destination: { reference: '${host}/${name}/{repository}:{tag}' }, ${more} }`;
  const trusted = join(folder, 'chain.pem');
  const gated = `verify: { signatures: [{ format: notary, trustStore: '${trusted}', identities: ['x509.subject: C=US'] }] }`;
  await writeFile(join(folder, 'rules.yaml'), `rules: [${rule('gated', gated)}, ${rule('open', 'sign: []')}]`);
  const { code, out, err } = await cli('promote', image);
  expect(code).toBe(1);
  expect(out).toContain('Promoted [open] ');
  expect(err).toMatch(/^Error: rule gated: .*\(EVIDENCE_MISSING\)$/m);
  expect((await cli('resolve', image.replace('/samples/', '/open/samples/'))).code).toBe(0);
  expect((await cli('resolve', image.replace('/samples/', '/gated/samples/'))).code).toBe(1);
});
