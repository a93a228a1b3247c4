import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { strToU8, zipSync } from 'fflate';
import { digestOf } from '../../src/oci/index.js';
import { binariesCataloger } from '../../src/sbom/catalogers/binaries.js';
import type { Package } from '../../src/sbom/catalogers/cataloger.js';
import { pythonCataloger } from '../../src/sbom/catalogers/python.js';
import { layerFile } from '../support/layer-file.js';
import { describeWithPeers, findPeer } from '../support/peers.js';

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'sbom-languages-'));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function write(files: Record<string, string | Uint8Array>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), content);
  }
}

function run(program: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe', maxBuffer: 64 * 1024 * 1024, ...options });
}

async function readProgram(path: string): Promise<{ packages: string[]; gaps: unknown[] }> {
  const file = layerFile(readFileSync(path));
  expect(binariesCataloger.recognizes?.(file.head, file.size, file.mode)).toBe(true);
  const { packages = [], gaps = [] } = await binariesCataloger.read(file);
  return { packages: packages.map(nameOf).toSorted(), gaps };
}

function nameOf({ namespace, name, version }: Package): string {
  return `${namespace === undefined ? name : `${namespace}/${name}`}@${version}`;
}

describeWithPeers('programs and Go', ['go'], ([go = '']) => {
  let env: NodeJS.ProcessEnv;
  const module = (path: string, version: string): Record<string, Uint8Array | string> => {
    const text = `module ${path}\n\ngo 1.20\n`;
    const source = `package ${path.slice(path.lastIndexOf('/') + 1)}\n\nfunc Say() { println("${path}") }\n`;
    return {
      [`proxy/${path}/@v/${version}.info`]: JSON.stringify({ Version: version }),
      [`proxy/${path}/@v/${version}.mod`]: text,
      [`proxy/${path}/@v/${version}.zip`]: zipSync({
        [`${path}@${version}/go.mod`]: strToU8(text),
        [`${path}@${version}/code.go`]: strToU8(source),
      }),
    };
  };

  beforeAll(() => {
    const names = ['direct', 'forked', 'local'];
    write({
      ...module('example.com/direct', 'v1.2.3'),
      ...module('example.com/forked', 'v0.0.0-20240101000000-0123456789ab'),
      ...module('example.org/forked', 'v2.0.0+incompatible'),
      ...module('example.com/local', 'v1.0.0'),
      'local/go.mod': 'module example.com/local\n\ngo 1.20\n',
      'local/code.go': 'package local\n\nfunc Say() { println("local") }\n',
      'app/go.mod': [
        'module example.com/app',
        'go 1.20',
        'require example.com/direct v1.2.3',
        'require example.com/forked v0.0.0-20240101000000-0123456789ab',
        'require example.com/local v1.0.0',
        'replace example.com/forked => example.org/forked v2.0.0+incompatible',
        'replace example.com/local => ../local',
        '',
      ].join('\n'),
      'app/main.go': [
        'package main',
        `import (${names.map((name) => `"example.com/${name}"`).join('; ')})`,
        `func main() { ${names.map((name) => `${name}.Say()`).join('; ')} }`,
        '',
      ].join('\n'),
    });
    env = {
      ...process.env,
      GOPROXY: `file://${join(work, 'proxy')}`,
      GOSUMDB: 'off',
      GOFLAGS: '-mod=mod -modcacherw',
      GOMODCACHE: join(work, 'modules'),
      GOTOOLCHAIN: 'local',
      CGO_ENABLED: '0',
    };
  });

  /** What `go version -m` prints, with replacements in the place of what they replace. */
  function truth(path: string): string[] {
    const found: { name: string; version: string }[] = [];
    const [first = '', ...lines] = run(go, ['version', '-m', path]).split('\n');
    for (const line of lines) {
      const [, kind, name = '', version = ''] = line.split('\t');
      if (kind === 'mod' || kind === 'dep') found.push({ name, version });
      else if (kind === '=>') {
        const replaced = found.pop();
        found.push({ name: name.startsWith('.') ? (replaced?.name ?? '') : name, version });
      }
    }
    const library = `stdlib@${/: go([\d.a-z]+)/.exec(first)?.[1]}`;
    return [...found.map(({ name, version }) => `${name}@${version}`), library].toSorted();
  }

  test.each([
    ['linux', 'amd64', []],
    ['linux', 'amd64', ['-ldflags=-s -w', '-buildmode=pie']],
    ['windows', 'amd64', []],
    ['darwin', 'arm64', []],
  ])(
    'the modules of a program for %s and %s built with %j are those of go version -m',
    async (os, cpu, options) => {
      const path = join(work, `${os}-${cpu}-${options.length}`);
      run(go, ['build', ...options, '-o', path, '.'], {
        cwd: join(work, 'app'),
        env: { ...env, GOOS: os, GOARCH: cpu },
      });
      const { packages, gaps } = await readProgram(path);
      expect(packages).toEqual(truth(path));
      expect(packages).toHaveLength(5);
      expect(packages).toContain('example.org/forked@v2.0.0+incompatible');
      expect(gaps).toEqual([]);
    },
    120_000,
  );

  test('the standard library of Go itself is that of go version', async () => {
    const root = run(go, ['env', 'GOROOT']).trim();
    expect(await readProgram(join(root, 'bin/go'))).toEqual({ packages: truth(join(root, 'bin/go')), gaps: [] });
  });
});

describeWithPeers('programs and objcopy', ['objcopy', 'bash'], ([objcopy = '', bash = '']) => {
  test('crates are read from a section that objcopy adds', async () => {
    const packages = [
      { name: 'demo', version: '0.1.0', source: 'local', dependencies: [1], root: true },
      { name: 'itoa', version: '1.0.19', source: 'crates.io' },
    ];
    write({ section: deflateSync(JSON.stringify({ packages })) });
    const path = join(work, 'with-crates');
    run(objcopy, ['--add-section', `.dep-v0=${join(work, 'section')}`, bash, path]);
    expect(await readProgram(path)).toEqual({ packages: ['demo@0.1.0', 'itoa@1.0.19'], gaps: [] });
  });
});

// Takes two minutes to install from crates.io, so it must be there only in the full run.
const auditable = findPeer('cargo-auditable');
if (auditable !== undefined || process.env.FULL === '1') {
  test('the crates of a program are those that cargo auditable built in', async () => {
    write({
      'rust/Cargo.toml':
        '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nlib = { path = "lib" }\n',
      'rust/src/main.rs': 'fn main() { println!("{}", lib::say()) }\n',
      'rust/lib/Cargo.toml': '[package]\nname = "lib"\nversion = "2.0.0-rc.1"\nedition = "2021"\n',
      'rust/lib/src/lib.rs': 'pub fn say() -> u8 { 1 }\n',
    });
    run(auditable ?? 'cargo-auditable', ['auditable', 'build', '--release', '--offline'], { cwd: join(work, 'rust') });
    const { packages, gaps } = await readProgram(join(work, 'rust/target/release/demo'));
    expect({ packages, gaps }).toEqual({ packages: ['demo@0.1.0', 'lib@2.0.0-rc.1'], gaps: [] });
  }, 120_000);
}

describeWithPeers('packages and pip', ['python3'], ([python = '']) => {
  const layer = digestOf(Buffer.from('a layer'));

  async function readFolder(root: string): Promise<{ packages: Package[]; gaps: unknown[] }> {
    const paths = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .filter((path) => pythonCataloger.wants(path) && path.split('/').length <= 2)
      .toSorted();
    const found = await Promise.all(
      paths.map(async (path) => ({
        path: `app/${path}`,
        layer,
        reading: await pythonCataloger.read(layerFile(readFileSync(join(root, path)))),
      })),
    );
    const { packages, gaps = [] } = pythonCataloger.combine?.(found, { has: () => true }) ?? { packages: [] };
    return { packages, gaps: [...found.flatMap(({ reading }) => reading.gaps ?? []), ...gaps] };
  }

  function truth(root: string): string[] {
    const listed = JSON.parse(run(python, ['-m', 'pip', 'list', '--path', root, '--format', 'json'])) as Package[];
    return listed.map(nameOf).toSorted();
  }

  test('the packages of a folder are those that pip lists, and own the files that pip installed', async () => {
    const native = '\x7fELF';
    const script = '#!python\nprint(1)\n';
    const recorded = (path: string, content: string): string =>
      `${path},sha256=${createHash('sha256').update(content).digest('base64url')},${content.length}\n`;
    write({
      'demo_wheel-1.0.post1-py3-none-any.whl': zipSync({
        'demo_wheel/__init__.py': strToU8(''),
        'demo_wheel/native.so': strToU8(native),
        'demo_wheel-1.0.post1.data/scripts/demo': strToU8(script),
        'demo_wheel-1.0.post1.dist-info/METADATA': strToU8(
          'Metadata-Version: 2.1\nName: Demo_Wheel\nVersion: 1.0.post1\nRequires-Dist: old-egg\n',
        ),
        'demo_wheel-1.0.post1.dist-info/WHEEL': strToU8(
          'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        ),
        'demo_wheel-1.0.post1.dist-info/RECORD': strToU8(
          recorded('demo_wheel/native.so', native) + recorded('demo_wheel-1.0.post1.data/scripts/demo', script),
        ),
      }),
      'site/old_egg-2.0.egg-info': 'Metadata-Version: 1.0\nName: old-egg\nVersion: 2.0\n',
      'site/older.egg-info/PKG-INFO': 'Metadata-Version: 1.0\nName: older\nVersion: 0.0.1\n',
    });
    const site = join(work, 'site');
    const wheel = join(work, 'demo_wheel-1.0.post1-py3-none-any.whl');
    run(python, ['-m', 'pip', 'install', '-q', '--no-index', '--no-deps', '--target', site, wheel]);
    const { packages, gaps } = await readFolder(site);
    expect(packages.map(nameOf).toSorted()).toEqual(truth(site));
    expect(packages).toHaveLength(3);
    expect(gaps).toEqual([]);
    const demo = packages.find(({ name }) => name === 'Demo_Wheel');
    expect(demo?.owns).toEqual(expect.arrayContaining(['./', '../demo_wheel/native.so', '../bin/demo']));
    expect(demo?.dependsOn).toEqual(['old-egg']);
  }, 60_000);

  test('the packages of this Python are those that pip lists', async () => {
    const [site = ''] = run(python, ['-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])']).split('\n');
    const { packages, gaps } = await readFolder(site);
    expect(packages.map(nameOf).toSorted()).toEqual(truth(site));
    expect(packages.length).toBeGreaterThan(0);
    expect(gaps).toEqual([]);
  }, 60_000);
});
