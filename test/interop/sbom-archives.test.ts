/**
 * Java, .NET, Ruby and PHP, beside the programs that run or install them: what they list is the truth. NuGet packages
 * cannot be installed here: the truth for them is which files of a published program each package claims.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Cataloger, FoundFile, LocatedPackage } from '../../src/sbom/catalogers/cataloger.js';
import { dotnetCataloger } from '../../src/sbom/catalogers/dotnet.js';
import { javaCataloger } from '../../src/sbom/catalogers/java.js';
import { phpCataloger } from '../../src/sbom/catalogers/php.js';
import { rubyCataloger } from '../../src/sbom/catalogers/ruby.js';
import { ZipBudget } from '../../src/sbom/catalogers/zip-budget.js';
import { readZip } from '../../src/sbom/catalogers/zip.js';
import { layerFile } from '../support/layer-file.js';
import { describeWithPeers } from '../support/peers.js';
import { propertyRuns } from '../support/property-runs.js';
import { rawZip } from '../support/raw-zip.js';

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'sbom-archives-'));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** What a cataloger finds below a folder, as in a layer that has the folder as its root. */
async function findBelow<F>(cataloger: Cataloger<F>, root: string): Promise<LocatedPackage[]> {
  const found: FoundFile<F>[] = [];
  for (const path of (readdirSync(root, { recursive: true }) as string[]).toSorted()) {
    if (!cataloger.wants(path)) continue;
    const reading = await cataloger.read(layerFile(readFileSync(join(root, path))));
    expect(reading.gaps).toBeUndefined();
    found.push({ path, layer: 'sha256:0', reading });
  }
  const combined = cataloger.combine?.(found, { has: (path) => existsSync(join(root, path)) });
  expect(combined?.gaps).toBeUndefined();
  return (
    combined?.packages ??
    found.flatMap(({ path, layer, reading }) => (reading.packages ?? []).map((one) => ({ ...one, path, layer })))
  );
}

function write(root: string, files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** Prints of each archive of a folder its entries and the hashes of their content, as the JVM sees them. */
const JVM = `
import java.io.*; import java.nio.file.*; import java.security.*; import java.util.*; import java.util.jar.*; import java.util.zip.*;
public class Jvm {
  public static void main(String[] args) throws Exception {
    if (args[0].equals("poms")) { poms(new FileInputStream(args[1])); return; }
    File[] files = new File(args[1]).listFiles();
    Arrays.sort(files);
    for (File file : files) {
      System.out.println("= " + file.getName());
      try (ZipFile zip = new ZipFile(file)) {
        for (ZipEntry entry : Collections.list(zip.entries())) {
          if (!entry.getName().startsWith("wanted")) continue;
          try (InputStream in = zip.getInputStream(entry)) {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(in.readAllBytes());
            System.out.println(entry.getName() + " " + HexFormat.of().formatHex(hash));
          } catch (Exception e) { }
        }
      } catch (Exception e) { }
    }
  }
  static void poms(InputStream source) throws Exception {
    ZipInputStream zip = new ZipInputStream(source);
    for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
      if (entry.getName().matches(".*[.](jar|war|ear)")) poms(new ByteArrayInputStream(zip.readAllBytes()));
      if (!entry.getName().endsWith("pom.properties")) continue;
      Properties pom = new Properties();
      pom.load(new ByteArrayInputStream(zip.readAllBytes()));
      System.out.println(pom.get("groupId") + ":" + pom.get("artifactId") + "@" + pom.get("version"));
    }
  }
}`;

describeWithPeers('the SBOM and Java', ['java', 'javac', 'jar'], ([java = '', javac = '', jar = '']) => {
  const jvm = (...args: string[]): string =>
    execFileSync(java, ['-Xshare:auto', '-cp', work, 'Jvm', ...args], {
      encoding: 'latin1',
      maxBuffer: 64 * 1024 * 1024,
    });

  beforeAll(() => {
    writeFileSync(join(work, 'Jvm.java'), JVM);
    execFileSync(javac, ['-d', work, join(work, 'Jvm.java')]);
  });

  test('each pom that the JVM finds in archives of the JDK is listed', async () => {
    const root = mkdtempSync(join(work, 'java-'));
    const pack = (file: string, folder: string, ...options: string[]): void =>
      void execFileSync(jar, [...options, '--create', '--file', join(root, file), '-C', join(root, folder), '.']);
    const pom = (artifact: string, version: string): Record<string, string> => ({
      [`META-INF/maven/org.example/${artifact}/pom.properties`]: `#made for a test\nartifactId=${artifact}\ngroupId=org.example\nversion=${version}\n`,
    });
    const filler = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`data/${index}`, `${index} `.repeat(99)]),
    );
    for (const version of ['1.0', '2.0']) write(join(root, `lib-${version}`), { ...filler, ...pom('lib', version) });
    write(join(root, 'war'), { ...pom('web', '3.0'), ...pom('shaded', '4.0'), 'index.html': '<html>' });
    mkdirSync(join(root, 'war/WEB-INF/lib'), { recursive: true });
    pack('war/WEB-INF/lib/lib-1.0.jar', 'lib-1.0');
    pack('war/WEB-INF/lib/lib-2.0.jar', 'lib-2.0', '--no-compress');
    mkdirSync(join(root, 'ear'));
    pack('ear/web-3.0.war', 'war');
    mkdirSync(join(root, 'image'));
    pack('image/app-5.0.ear', 'ear');
    pack('image/stored.war', 'war', '--no-compress');
    for (const file of ['app-5.0.ear', 'stored.war']) {
      const truth = jvm('poms', join(root, 'image', file))
        .trim()
        .split('\n')
        .toSorted();
      expect(truth).toHaveLength(4);
      const listed = (await findBelow(javaCataloger, join(root, 'image')))
        .filter(({ path }) => path === file)
        .map(({ namespace, name, version }) => `${namespace}:${name}@${version}`);
      expect(listed.filter((one) => one.startsWith('org.example:')).toSorted()).toEqual(truth);
      expect(listed.filter((one) => !one.startsWith('org.example:'))).toEqual([
        // Nothing in this one states a version.
        file === 'stored.war' ? 'stored:stored@' : 'app:app@5.0',
      ]);
    }
  });

  test('what the JVM reads in a mutated archive, we read, or name a gap', async () => {
    const folder = mkdtempSync(join(work, 'zips-'));
    const entry = fc.record({
      name: fc.constantFrom('wanted', 'wanted/a', 'other', 'b/'),
      content: fc.uint8Array({ maxLength: 60 }),
      method: fc.constantFrom('store' as const, 'deflate' as const),
      descriptor: fc.constantFrom(true, false),
      zip64: fc.boolean(),
    });
    const archive = fc
      .tuple(fc.array(entry, { minLength: 1, maxLength: 5 }), fc.string({ maxLength: 5 }), fc.boolean())
      .map(([entries, comment, zip64]) => rawZip(entries, { comment, zip64 }));
    const change = fc.tuple(
      fc.nat(),
      fc.constantFrom('flip', 'cut', 'double', 'move', 'append'),
      fc.integer({ min: 1, max: 255 }),
    );
    const mutated = fc.tuple(archive, archive, fc.array(change, { maxLength: 3 })).map(([bytes, other, changes]) => ({
      isWhole: changes.length === 0,
      bytes: changes.reduce((before, [at, kind, value]) => {
        const place = at % before.length;
        const [head, tail] = [before.subarray(0, place), before.subarray(place)];
        const flipped = Buffer.from(before);
        flipped[place] = (flipped[place] ?? 0) ^ value;
        if (kind === 'flip') return flipped;
        if (kind === 'append') return Buffer.concat([before, other]);
        if (kind === 'move') return Buffer.concat([head, Buffer.alloc(value), tail]);
        return kind === 'double' ? Buffer.concat([head, head, tail]) : Buffer.concat([head, tail.subarray(value % 20)]);
      }, bytes),
    }));
    const archives = fc.sample(mutated, { numRuns: propertyRuns(20_000), seed: 17 });
    archives.forEach(({ bytes }, index) => writeFileSync(join(folder, `${index}`), bytes));
    let [same, read] = [0, 0];
    for (const part of jvm('entries', folder).split('= ').slice(1)) {
      const [name = '', ...lines] = part.trimEnd().split('\n');
      const found = await readZip<string>(
        layerFile(readFileSync(join(folder, name))).chunks(),
        {
          wants: (entryName) => entryName.startsWith('wanted'),
          async read(entryName, content) {
            const hash = createHash('sha256');
            for await (const piece of content) hash.update(piece);
            return `${entryName} ${hash.digest('hex')}`;
          },
        },
        new ZipBudget(1_000_000),
      );
      const seen = new Set(found?.entries.map(({ value }) => value));
      const missed = lines.filter((line) => !seen.has(line));
      if (missed.length > 0 && found !== undefined && found.unread.length === 0) {
        throw new Error(`archive ${name}: the JVM reads ${missed.join(', ')}, we read ${[...seen].join(', ')}`);
      }
      if (archives[Number(name)]?.isWhole) {
        expect({ name, missed, unread: found?.unread }).toEqual({ name, missed: [], unread: [] });
        expect(found?.entries).toHaveLength(lines.length);
      }
      if (lines.length > 0) read += 1;
      if (lines.length > 0 && missed.length === 0) same += 1;
    }
    // Of the archives in which the JVM reads something, we read the same in most; the others are gaps.
    expect(read).toBeGreaterThan(archives.length / 4);
    expect(same).toBeGreaterThan(read / 2);
  }, 300_000);
});

describeWithPeers('the SBOM and RubyGems', ['gem', 'ruby'], ([gem = '', ruby = '']) => {
  test('lists what gem list lists: several versions, platforms, extensions and default gems', async () => {
    const root = mkdtempSync(join(work, 'ruby-'));
    const home = join(root, 'gems-home');
    const env = { ...process.env, GEM_HOME: home, GEM_PATH: home };
    const build = (name: string, version: string, more = ''): void => {
      const folder = mkdtempSync(join(work, 'gem-'));
      write(folder, {
        'lib/x.rb': 'puts 1\n',
        // An extension that needs no compiler.
        'ext/extconf.rb': 'File.write("Makefile", "all:\\n\\ninstall:\\n\\nclean:\\n")\n',
        'x.gemspec': `Gem::Specification.new do |s|
  s.name = "${name}"
  s.version = "${version}"
  s.summary = "made for a test: s.version = \\"9\\""
  s.description = "first line\\n  s.version = \\"9\\"\\n"
  s.authors = ["André"]
  s.licenses = ["MIT", "Apache-2.0"]
  s.files = ["lib/x.rb", "ext/extconf.rb"]
  ${more}
end\n`,
      });
      execFileSync(gem, ['build', '--silent', '--force', '--output', 'x.gem', 'x.gemspec'], {
        cwd: folder,
        env,
        stdio: 'pipe',
      });
      const install = ['install', '--silent', '--local', '--force', '--no-document', '--install-dir', home, 'x.gem'];
      execFileSync(gem, install, { cwd: folder, env, stdio: 'pipe' });
    };
    build('plain', '1.0.0');
    build('plain', '1.1.0.pre2', 's.add_dependency "native", "~> 0.1"');
    build('native', '0.1.2', 's.extensions = ["ext/extconf.rb"]');
    build('here-only', '3.0', 's.platform = Gem::Platform.local');
    const defaults = execFileSync(ruby, ['-e', 'print Gem.default_specifications_dir'], { encoding: 'utf8' });
    cpSync(defaults, join(root, defaults), { recursive: true });

    // `plain (1.1.0.pre2, 1.0.0)`, `json (default: 2.6.1)`, `here-only (3.0 x86_64-linux)`
    const truth = execFileSync(gem, ['list', '--local', '--quiet'], { env, encoding: 'utf8' })
      .trim()
      .split('\n')
      .flatMap((line) => {
        const [, name = '', versions = ''] = /^(\S+) \((.*)\)$/.exec(line) ?? [];
        return versions.split(', ').map((version) => `${name} ${version.replace('default: ', '')}`);
      })
      .toSorted();
    const packages = await findBelow(rubyCataloger, root);
    const listed = packages.map(({ name, version, qualifiers }) =>
      [name, version, qualifiers?.platform].join(' ').trim(),
    );
    expect(listed.toSorted()).toEqual(truth);
    expect(truth.length).toBeGreaterThan(40);
    const native = packages.find(({ name }) => name === 'native');
    expect(native?.licenses).toEqual(['MIT', 'Apache-2.0']);
    expect(native?.owns?.map((path) => existsSync(join(root, path)))).toEqual([true, true]);
    expect(packages.find(({ version }) => version === '1.1.0.pre2')?.dependsOn).toEqual(['native']);
  });
});

describeWithPeers('the SBOM and Composer', ['composer'], ([composer = '']) => {
  test('lists what composer show lists, and owns the folders of the packages', async () => {
    const root = mkdtempSync(join(work, 'php-'));
    const own = (name: string, version: string, more: object = {}): void =>
      write(join(root, name), {
        'composer.json': JSON.stringify({ name: `acme/${name}`, version, license: 'MIT', ...more }),
      });
    own('one', '1.2.3', { require: { 'acme/two': '^2.0' } });
    own('two', 'v2.0.0-beta1', { license: ['MIT', 'GPL-2.0-or-later'] });
    own('three', '0.1.0', { type: 'metapackage' });
    own('four', '4.0.0');
    write(join(root, 'app'), {
      'composer.json': JSON.stringify({
        repositories: [
          ...['one', 'two', 'three', 'four'].map((name) => ({
            type: 'path',
            url: `../${name}`,
            options: { symlink: false },
          })),
          { 'packagist.org': false },
        ],
        'minimum-stability': 'dev',
        require: { 'acme/one': '*', 'acme/three': '*' },
        'require-dev': { 'acme/four': '*' },
      }),
    });
    const run = (...args: string[]): string =>
      execFileSync(composer, [...args, '--no-interaction', '--no-ansi'], {
        cwd: join(root, 'app'),
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          COMPOSER_ALLOW_SUPERUSER: '1',
          COMPOSER_HOME: join(root, 'home'),
          COMPOSER_DISABLE_NETWORK: '1',
        },
      });
    run('install', '--no-plugins', '--quiet');
    const { installed } = JSON.parse(run('show', '--format=json')) as {
      installed: { name: string; version: string }[];
    };
    const packages = await findBelow(phpCataloger, join(root, 'app'));
    const listed = packages.map(({ namespace, name, version }) => `${namespace}/${name} ${version}`);
    expect(listed.toSorted()).toEqual(installed.map(({ name, version }) => `${name} ${version}`).toSorted());
    expect(installed).toHaveLength(4);
    expect(packages.map(({ name, owns }) => [name, owns])).toEqual([
      ['four', ['../acme/four/']],
      ['one', ['../acme/one/']],
      ['three', undefined],
      ['two', ['../acme/two/']],
    ]);
    expect(packages.find(({ name }) => name === 'one')?.dependsOn).toEqual(['acme/two']);
  });
});

describeWithPeers('the SBOM and .NET', ['dotnet', 'nbgv.dll'], ([dotnet = '', nbgv = '']) => {
  /** The files below a folder, and those that the packages own. */
  async function ownership(
    root: string,
    folder: string,
  ): Promise<{ packages: LocatedPackage[]; files: string[]; owned: Set<string> }> {
    const packages = (await findBelow(dotnetCataloger, root)).filter(({ path }) => dirname(path) === folder);
    const files = (readdirSync(join(root, folder), { recursive: true }) as string[]).filter((path) =>
      /\.(?:dll|so)$/.test(path),
    );
    return { packages, files, owned: new Set(packages.flatMap(({ owns = [] }) => owns)) };
  }

  test('lists each runtime that dotnet lists, and all of its libraries belong to a package', async () => {
    const root = dirname(realpathSync(dotnet));
    const runtimes = execFileSync(dotnet, ['--list-runtimes'], { encoding: 'utf8' }).trim().split('\n');
    expect(runtimes.length).toBeGreaterThan(0);
    for (const line of runtimes) {
      const [name = '', version = ''] = line.split(' ');
      const { packages, files, owned } = await ownership(root, `shared/${name}/${version}`);
      expect(packages.filter((one) => one.name === name && one.version === version)).toHaveLength(1);
      expect(files.length).toBeGreaterThan(100);
      expect(files.filter((file) => !owned.has(`./${file}`))).toEqual([]);
      expect([...owned]).toEqual(expect.arrayContaining(['../../../dotnet', `../../../host/fxr/${version}/`]));
    }
  });

  test('each library of a published program belongs to a package, and each package has a file', async () => {
    const root = dirname(realpathSync(nbgv));
    const { packages, files, owned } = await ownership(root, '.');
    expect(packages.filter(({ type }) => type === 'nuget').length).toBeGreaterThan(30);
    expect(files.filter((file) => !owned.has(`./${file}`))).toEqual([]);
    const without = packages.filter(({ owns = [] }) => !owns.some((path) => existsSync(join(root, path))));
    expect(without).toEqual([]);
  });
});
