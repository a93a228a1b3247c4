import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as connectionServer, type AddressInfo } from 'node:net';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError, openLayout, type Descriptor } from 'acr-promoter/oci';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { proxyFor } from '../../../src/cli/connection/proxy.js';
import { formatLeftOut } from '../../../src/cli/output/left-out.js';
import { run } from '../../../src/cli/run.js';
import { putRealGraph } from '../../support/graphs.js';
import { createMemoryIo } from '../../support/memory-io.js';
import { shortPauses } from '../../support/short-pauses.js';

shortPauses();

let folder = '';
let layout = '';
let root: Descriptor;
let registry: RunningRegistry;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-'));
  layout = join(folder, 'layout');
  root = (await putRealGraph(await openLayout(layout, { create: true }))).root;
  registry = await startRegistry({ dataDir: join(folder, 'registry'), users: [{ name: 'me', password: 'secret' }] });
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  code: number;
  out: string;
  err: string;
}

async function acrPromoter(line: string, options: { input?: string; signal?: AbortSignal } = {}): Promise<Ran> {
  const { io, out, err } = createMemoryIo({ ...options, env: { DOCKER_CONFIG: join(folder, 'docker') } });
  const argv = line.split(' ').filter((word) => word !== '');
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

describe('reading a layout', () => {
  test('resolve', async () => {
    expect(await acrPromoter(`resolve --oci-layout ${layout}:v1`)).toEqual({
      code: 0,
      out: `${root.digest}\n`,
      err: '',
    });
    expect((await acrPromoter(`resolve -l --oci-layout ${layout}:v1`)).out).toBe(`${layout}@${root.digest}\n`);
  });

  test('manifest fetch is byte for byte', async () => {
    const stored = await readFile(join(layout, 'blobs', root.digest.replace(':', '/')), 'utf8');
    expect(await acrPromoter(`manifest fetch --oci-layout ${layout}:v1`)).toEqual({ code: 0, out: stored, err: '' });
    expect((await acrPromoter(`manifest fetch --oci-layout --descriptor ${layout}:v1`)).out).toBe(
      `{"mediaType":"${root.mediaType}","digest":"${root.digest}","size":${root.size},"annotations":{"org.opencontainers.image.ref.name":"v1"}}`,
    );
    const file = join(folder, 'manifest.json');
    expect((await acrPromoter(`manifest fetch --oci-layout -o ${file} ${layout}:v1`)).out).toBe('');
    expect(await readFile(file, 'utf8')).toBe(stored);
    expect((await acrPromoter(`manifest fetch --oci-layout -o - ${layout}:v1`)).out).toBe(stored);
    const pretty = (await acrPromoter(`manifest fetch --oci-layout --pretty ${layout}:v1`)).out;
    expect(pretty).toBe(`${JSON.stringify(JSON.parse(stored), undefined, 2)}\n`);
  });

  test('discover', async () => {
    const { out } = await acrPromoter(`discover --oci-layout ${layout}:v1`);
    expect(out).toMatch(/^\S+@sha256:\w+\n├── application\/spdx\+json\n│ {3}└── sha256:\w+\n└── /);
    const json = JSON.parse((await acrPromoter(`discover --format json --oci-layout ${layout}:v1`)).out) as object;
    expect(json).toMatchObject({ digest: root.digest, referrers: [{ referrers: [] }, { referrers: [] }] });
    const older = JSON.parse((await acrPromoter(`discover -o json --oci-layout ${layout}:v1`)).out) as object;
    expect(older).toMatchObject({ manifests: [{}, {}] });
  });

  test('repo tags', async () => {
    expect((await acrPromoter(`repo tags --oci-layout ${layout}`)).out).toBe('v1\n');
    expect((await acrPromoter(`repo tags --format json --oci-layout ${layout}`)).out).toBe(
      '{\n  "tags": [\n    "v1"\n  ]\n}\n',
    );
    expect((await acrPromoter(`repo tags --oci-layout ${layout}@${root.digest}`)).out).toBe('v1\n');
  });
});

describe('copying', () => {
  test('a copy goes to a registry and back to a layout, with the password from standard input', async () => {
    const there = `${registry.name}/samples/app`;
    const input = 'secret\n';
    const copied = await acrPromoter(
      `copy -r --from-oci-layout ${layout}:v1 ${there}:v1,latest --to-username me --to-password-stdin`,
      { input },
    );
    expect(copied.err).toBe('');
    expect(copied.out).toContain(
      `Copied [oci-layout] ${layout}:v1 => [registry] ${there}:v1\nTagged latest\nDigest: ${root.digest}\n`,
    );
    expect(copied.out).toMatch(/^Copying \w{12} application\//m);
    const back = join(folder, 'back');
    const fetched = await acrPromoter(
      `copy -r ${there}:latest --to-oci-layout ${back}:v2 --from-username me --from-password-stdin`,
      { input },
    );
    expect(fetched).toMatchObject({ code: 0, err: '' });
    expect((await (await openLayout(back)).resolve('v2')).digest).toBe(root.digest);
    const again = await acrPromoter(
      `copy -r --from-oci-layout ${layout}:v1 ${there}:v1 --to-username me --to-password secret`,
    );
    // Of what is there, only what nothing else refers to is told: oras goes no further down.
    const exists = again.out.match(/^Exists {2}\w{12} application\/.*$/gm) ?? [];
    expect(exists.length).toBeLessThan(8);
    expect(again.out).toBe(
      [...exists, `Copied [oci-layout] ${layout}:v1 => [registry] ${there}:v1`, `Digest: ${root.digest}`, ''].join(
        '\n',
      ),
    );
  });

  test('copy --format json prints a receipt', async () => {
    const { out } = await acrPromoter(
      `copy -r --format json --from-oci-layout ${layout}:v1 --to-oci-layout ${join(folder, 'receipt')}:v1`,
    );
    expect(JSON.parse(out)).toMatchObject({
      root: { digest: root.digest },
      tags: ['v1'],
      report: { existed: [], mounted: [], tagged: [] },
      arrival: { manifests: 8, listed: 4, restored: [] },
    });
  });

  test('a 401 names the side, the reference and the remedy', async () => {
    const ran = await acrPromoter(
      `copy --from-oci-layout ${layout}:v1 ${registry.name}/samples/app:v1 --to-username me --to-password geheim`,
    );
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/^Error: .*destination.* \(UNAUTHORIZED\)\n.+\n$/);
    expect(ran.err).toContain(registry.name);
    expect(ran.err).not.toContain('geheim');
  });

  test('without options, credentials come from the Docker config', async () => {
    const config = join(folder, 'config.json');
    const auth = Buffer.from('me:secret').toString('base64');
    await writeFile(config, JSON.stringify({ auths: { [registry.name]: { auth } } }));
    const ran = await acrPromoter(
      `copy --from-oci-layout ${layout}:v1 ${registry.name}/samples/docker:v1 --to-registry-config ${config}`,
    );
    expect(ran).toMatchObject({ code: 0, err: '' });
    const tags = await acrPromoter(`repo tags ${registry.name}/samples/docker --registry-config ${config}`);
    expect(tags.out).toBe('v1\n');
  });

  test('an interrupted command ends with 130', async () => {
    const stop = new AbortController();
    stop.abort();
    const ran = await acrPromoter(`copy --from-oci-layout ${layout}:v1 --to-oci-layout ${join(folder, 'x')}:v1`, {
      signal: stop.signal,
    });
    expect(ran).toMatchObject({ code: 130, err: 'Error: interrupted (INTERRUPTED)\n' });
  });
});

describe('wrong use', () => {
  test.each([
    ['copy a', '"acr-promoter copy" requires exactly 2 arguments but got 1'],
    ['resolve', '"acr-promoter resolve" requires exactly 1 argument but got 0'],
    ['repo tags a b', '"acr-promoter repo tags" requires exactly 1 argument but got 2'],
    ['discover localhost:5000/app', '"localhost:5000/app": no tag or digest specified'],
    ['copy localhost:5000/app localhost:5000/b:v', '"localhost:5000/app": no tag or digest specified'],
  ])('%s is said in three lines', async (line, message) => {
    const { code, out, err } = await acrPromoter(line);
    expect(code).toBe(1);
    expect(out).toBe('');
    const lines = err.split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe(`Error: ${message}`);
    expect(lines[1]).toMatch(/^Usage: acr-promoter /);
    expect(lines[2]).toMatch(/Run "acr-promoter .* -h"/);
  });

  test.each([
    ['resolve app:v1', 'REFERENCE_INVALID'],
    ['discover --depth 0 localhost:5000/app:v1', 'OPTION_INVALID'],
    ['discover --format xml localhost:5000/app:v1', 'OPTION_INVALID'],
    ['discover --format json -o json localhost:5000/app:v1', 'OPTIONS_EXCLUSIVE'],
    ['resolve --distribution-spec v2 localhost:5000/app:v1', 'OPTION_INVALID'],
    ['resolve --platform linux/ localhost:5000/app:v1', 'PLATFORM_INVALID'],
    ['resolve --ca-file /nowhere localhost:5000/app:v1', 'CA_FILE_UNREADABLE'],
    ['resolve --password a --password-stdin localhost:5000/app:v1', 'OPTIONS_EXCLUSIVE'],
    ['copy --from-password-stdin --to-password-stdin a.b/c:d a.b/c:d', 'OPTIONS_EXCLUSIVE'],
    ['copy --concurrency x a.b/c:d a.b/c:d', 'OPTION_INVALID'],
    ['manifest fetch --descriptor -o - localhost:5000/app:v1', 'OPTIONS_EXCLUSIVE'],
    ['resolve --oci-layout nowhere:v1', 'LAYOUT_NOT_FOUND'],
    ['resolve localhost:1/app:v1', 'CONNECT_FAILED'],
  ])('%s: %s', async (line, code) => {
    const ran = await acrPromoter(line);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(new RegExp(`^Error: [^\\n]*\\(${code}\\)\\n`, 'm'));
  });

  test.each([
    ['nonsense', 'unknown command "nonsense" for "acr-promoter"', 'acr-promoter'],
    ['repo tag r.io/app', 'unknown command "tag" for "acr-promoter repo"', 'acr-promoter repo'],
    ['resolve --nonsense a', 'unknown flag: --nonsense', 'acr-promoter resolve'],
    ['manifest index create --nonsense=secret a', 'unknown flag: --nonsense', 'acr-promoter manifest index create'],
    ['copy -x a b', "unknown shorthand flag: 'x' in -x", 'acr-promoter copy'],
    ['promotions --tag run --nonsense', 'unknown flag: --nonsense', 'acr-promoter promotions'],
    ['promotions runn', 'unknown command "runn" for "acr-promoter promotions"', 'acr-promoter promotions'],
    ['discover --verbose=x a', 'invalid argument "x" for "-v, --verbose" flag', 'acr-promoter discover'],
    ['discover -v=x a', 'invalid argument "x" for "-v, --verbose" flag', 'acr-promoter discover'],
    ['blob fetch a --output', 'flag needs an argument: --output', 'acr-promoter blob fetch'],
  ])('%s fails as in oras, and names the help of the command that was called', async (line, said, command) => {
    const { code, out, err } = await acrPromoter(line);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^Error: [^\n]*\n(?:Did you mean [^\n]*\n)?Run "[^"]* --help" for usage\.\n$/);
    expect(err).toContain(`Error: ${said}\n`);
    expect(err).toContain(`Run "${command} --help" for usage.\n`);
  });

  test('a mistyped command or flag names the one that is meant', async () => {
    expect((await acrPromoter('resolv a')).err).toContain('Did you mean resolve?');
    expect((await acrPromoter('promotions runn')).err).toContain('Did you mean run?');
    expect((await acrPromoter('resolve --plain-htp a')).err).toContain('Did you mean --plain-http?');
  });

  test('a command without operands says that it takes no arguments', async () => {
    expect(await acrPromoter('jobs list extra')).toEqual({
      code: 1,
      out: '',
      err: `Error: "acr-promoter jobs list" takes no arguments but got 1
Usage: acr-promoter jobs list [flags]
Run "acr-promoter jobs list -h" for more options and examples
`,
    });
    expect((await acrPromoter('status --help')).out).toMatch(/^Usage: acr-promoter status \[flags\]$/m);
  });

  test.each(['cp --concurrency abc a b', 'tag --concurrency abc a', 'push --concurrency=abc'])(
    '%s: the flag is checked before the operands',
    async (line) => {
      expect(await acrPromoter(line)).toMatchObject({
        code: 1,
        err: expect.stringMatching(/^Error: invalid argument "abc" for "--concurrency" flag \(OPTION_INVALID\)\n/),
      });
    },
  );

  test('--version prints what version prints', async () => {
    const { code, out } = await acrPromoter('--version');
    expect({ code, out }).toEqual({ code: 0, out: (await acrPromoter('version')).out });
    expect(out).toMatch(/^Version: +\d+\.\d+/);
  });

  test.each([
    ['--password', ['-u', 'me', '-p', 'secret']],
    ['--identity-token', ['--identity-token', 'secret']],
  ])('%s on the command line warns, with any verb', async (flag, words) => {
    const { err } = await acrPromoter(`repo ls ${registry.name} ${words.join(' ')}`);
    expect(err).toContain(`WARNING! Using ${flag} via the CLI is insecure. Use ${flag}-stdin.\n`);
    expect(err).not.toContain('secret');
  });

  test.each([
    ['repo tags --plain-http=false {r}/a', '--plain-http'],
    ['copy --from-plain-http=false {r}/a:v1 127.0.0.1:1/b:v1', '--from-plain-http'],
    ['copy --to-plain-http=false --from-oci-layout {layout}:v1 {r}/a:v1', '--to-plain-http'],
  ])('HTTPS to a registry of plain HTTP names the flag: %s', async (line, flag) => {
    const { code, err } = await acrPromoter(line.replace('{r}', registry.name).replace('{layout}', layout));
    expect(code).toBe(1);
    expect(err).toContain(
      `${registry.name} speaks plain HTTP, and was asked by HTTPS (CONNECT_FAILED)\nAdd ${flag}.\n`,
    );
  });

  test('HTTP to a registry of HTTPS names the flag', async () => {
    // As Go's HTTPS servers answer, and nginx in other words.
    const server = createServer((_, response) => {
      response.writeHead(400).end('Client sent an HTTP request to an HTTPS server.\n');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [tags, copy] = await Promise.all([
      acrPromoter(`repo tags ${host}/a`),
      acrPromoter(`copy ${host}/a:v1 127.0.0.1:1/b:v1`),
    ]);
    server.close();
    server.closeAllConnections();
    expect([tags.code, tags.err]).toEqual([
      1,
      expect.stringContaining(`\nIf ${host} uses HTTPS, add --plain-http=false.\n`),
    ]);
    expect(copy.err).toContain(`\nIf ${host} uses HTTPS, add --from-plain-http=false.\n`);
  });

  test('HTTP to a server that closes the connection without an answer names the flag for HTTPS', async () => {
    const server = connectionServer((socket) => socket.once('data', () => socket.end()));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, err } = await acrPromoter(`repo tags ${host}/a`);
    server.close();
    expect([code, err]).toEqual([1, expect.stringContaining(`\nIf ${host} uses HTTPS, add --plain-http=false.\n`)]);
  });

  test.each(['', '--help', 'copy --help', 'manifest', 'manifest fetch -h'])('help: %j', async (line) => {
    const { code, out, err } = await acrPromoter(line);
    expect(code).toBe(0);
    expect(out).toMatch(/^Usage: acr-promoter/);
    expect(err).toBe('');
  });
});

test('a listed referrer that is missing is a warning, an excluded one is not', () => {
  const digest = root.digest;
  const warned = formatLeftOut('r/app', [
    { digest, artifactType: 'a/b', reason: 'gone' },
    { digest, reason: 'not-its-subject' },
    { digest, artifactType: 'c/d', reason: 'excluded' },
  ]);
  expect(warned).toBe(
    `Warning: r/app@${digest} was not copied: it is listed, but missing\n` +
      `Warning: r/app@${digest} was not copied: it refers to something else\n`,
  );
});

test.each([
  ['r.azurecr.io', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1'],
  ['r.azurecr.io:443', { https_proxy: 'http://p:1' }, 'http://p:1'],
  ['r.azurecr.io', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'localhost, .azurecr.io' }, undefined],
  ['azurecr.io', { HTTPS_PROXY: 'http://p:1', NO_PROXY: '*.azurecr.io' }, undefined],
  ['r.azurecr.io', { HTTPS_PROXY: 'http://p:1', no_proxy: '*' }, undefined],
  ['notazurecr.io', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'azurecr.io' }, 'http://p:1'],
  ['r.azurecr.io', { HTTPS_PROXY: 'p:1' }, 'http://p:1'],
  ['r.azurecr.io', { HTTPS_PROXY: '' }, undefined],
  ['r.azurecr.io', {}, undefined],
])('the proxy for %s with %j', (registryHost, env, proxy) => {
  expect(proxyFor(registryHost, env)).toBe(proxy);
});

test.each(['resolve --passwrd=hunter2secret a.io/b:v1', 'resolve u:hunter2secret@localhost:1/x/y:v1'])(
  'what was mistyped is said without the secret in it: %s',
  async (line) => {
    const { code, err } = await acrPromoter(line);
    expect(code).toBe(1);
    expect(err).toMatch(/unknown flag: --passwrd\n|must not contain credentials/);
    expect(err).not.toContain('hunter2');
  },
);

test.each([
  ['resolve {r}/nope:v9', 'tag v9 not found in {r}/nope (MANIFEST_UNKNOWN)'],
  ['copy {r}/nope:v9 --to-oci-layout {layout}-none:v1', 'resolve at the source: tag v9 not found in {r}/nope'],
])('%s names what is not there, and the command that lists the tags', async (line, said) => {
  const there = (text: string): string => text.replaceAll('{r}', registry.name).replace('{layout}', layout);
  const signIn = line.startsWith('copy') ? '--from-username me --from-password secret' : '-u me -p secret';
  const { code, err } = await acrPromoter(`${there(line)} ${signIn}`);
  expect(code).toBe(1);
  expect(err).toContain(`Error: ${there(said)}`);
  expect(err).toContain(
    `List tags: acr-promoter repo tags ${there('{r}/nope')} (repositories: acr-promoter repo ls ${there('{r}')})\n`,
  );
});

test('the remedy of an error is printed unchanged, so that its command works; the message hides credentials', () => {
  const text = 'acr-promoter copy user:password@r.io/app:v1 r.io/app?tag=v1';
  const error = new InputError('EXAMPLE', text, { remedy: text });
  expect(error.message).toBe('acr-promoter copy ***@r.io/app:v1 r.io/app?***');
  expect(error.remedy).toBe(text);
});
