import { deflateSync, zstdCompressSync } from 'node:zlib';
import { once, PromoterError } from '../../src/oci/index.js';
import { Budget } from '../../src/sbom/budget.js';
import { apkCataloger } from '../../src/sbom/catalogers/apk.js';
import { binariesCataloger } from '../../src/sbom/catalogers/binaries.js';
import type { Cataloger } from '../../src/sbom/catalogers/cataloger.js';
import { dotnetSdkCataloger } from '../../src/sbom/catalogers/dotnet-sdk.js';
import { dotnetCataloger } from '../../src/sbom/catalogers/dotnet.js';
import { dpkgCataloger } from '../../src/sbom/catalogers/dpkg.js';
import { offsetOf, readSegments } from '../../src/sbom/catalogers/elf.js';
import { CATALOGERS } from '../../src/sbom/catalogers/index.js';
import { javaCataloger } from '../../src/sbom/catalogers/java.js';
import { javascriptCataloger } from '../../src/sbom/catalogers/javascript.js';
import { jdkCataloger } from '../../src/sbom/catalogers/jdk.js';
import { npmCataloger } from '../../src/sbom/catalogers/npm.js';
import { osReleaseCataloger } from '../../src/sbom/catalogers/os-release.js';
import { phpCataloger } from '../../src/sbom/catalogers/php.js';
import { pythonCataloger } from '../../src/sbom/catalogers/python.js';
import { rpmCataloger } from '../../src/sbom/catalogers/rpm.js';
import { rubyCataloger } from '../../src/sbom/catalogers/ruby.js';
import { SBOM_LIMITS } from '../../src/sbom/index.js';
import { FileTree } from '../../src/sbom/layers/file-tree.js';
import { readLayer, type OpenLayer } from '../../src/sbom/layers/layer-reading.js';
import { unpackLayer } from '../../src/sbom/layers/unpack.js';
import { overLimit } from '../../src/sbom/sbom-errors.js';
import { mutatedLayer, packed, randomOf } from '../interop/layers/mutated-layers.js';
import { elfHeader, framed, inlineInfo, MAGIC } from '../support/elf-files.js';
import { rawZip } from '../support/raw-zip.js';
import { berkeleyDb, fullHeader, ndbDatabase, simpleHeader, sqliteDatabase } from '../support/rpm-databases.js';
import { END, file } from '../unit/sbom/raw-tar.js';
import { mutated, pick, type Random } from './mutate.js';
import { checkCataloger, checkDocuments, type Place } from './well-formed.js';

/** A reader of bytes that a stranger may have written. */
export interface Reader {
  name: string;
  /** Name of the cataloger, if it is one. */
  cataloger?: string;
  /** Valid contents. */
  seeds(): Buffer[];
  /** Makes an input, mostly of a seed with a few changes. */
  make(random: Random, seeds: readonly Buffer[]): Buffer;
  /** Reads an input and checks the result. @param thoroughly also what takes longer. @throws Error */
  read(input: Buffer, options: { chunkBytes: number; thoroughly: boolean }): Promise<void>;
}

function ofCataloger(
  name: string,
  cataloger: Cataloger,
  place: Place,
  seeds: () => (string | Buffer)[],
  make: Reader['make'] = mutated,
): Reader {
  return {
    name,
    cataloger: cataloger.name,
    seeds: () => seeds().map((seed) => Buffer.from(seed as string)),
    make,
    async read(input, { chunkBytes, thoroughly }) {
      if (input.length > cataloger.maxBytes) return;
      const found = await checkCataloger(cataloger, place, input, chunkBytes);
      if (thoroughly) checkDocuments(found);
    },
  };
}

/** Content that is packed. Half of the inputs are changed before that, so that not all fail there. */
function packedBy(pack: (bytes: Buffer) => Buffer, content: string): [Reader['seeds'], Reader['make']] {
  const inner = Buffer.from(content);
  return [
    () => [pack(inner)],
    (random, seeds) => (random() < 0.5 ? pack(mutated(random, [inner])) : mutated(random, seeds)),
  ];
}

const LAYER = `sha256:${'0'.repeat(64)}` as const;
/** An input has a few kilobytes. */
const LIMITS = { ...SBOM_LIMITS, unpackedBytes: 4 * 1024 ** 2, zstdWindowBytes: 8 * 1024 ** 2, zstdFrames: 5_000, entries: 5_000, readBytes: 4 * 1024 ** 2 }; // prettier-ignore

/** Unpacks a layer in this thread. */
function unpackedFrom(input: Buffer): OpenLayer {
  return (layer, _, onFrames) => ({
    pieces: unpackLayer(once(input), layer, (windowBytes) => {
      if (windowBytes > LIMITS.zstdWindowBytes) throw overLimit('zstdWindowBytes', 'a window has more bytes', LIMITS.zstdWindowBytes);
      return onFrames(1, false);
    }), // prettier-ignore
    diffId: () => LAYER,
  });
}

/** A layer is read, or refused with a code; what was read becomes a tree of files. */
async function readAnyLayer(input: Buffer, mediaType: string): Promise<void> {
  const budget = new Budget(LIMITS, input.length);
  try {
    const reading = await readLayer({ mediaType, digest: LAYER, size: input.length }, 'sha256', unpackedFrom(input), {
      catalogers: CATALOGERS,
      limits: LIMITS,
      budget: budget.layer(),
      needMuchMemory: () => Promise.resolve(() => {}),
    });
    if (reading.counts.unpackedBytes > LIMITS.unpackedBytes) throw new Error('it unpacked more than it may');
    const tree = new FileTree({ onMemory: () => {}, onStep: () => {}, onDoubt: () => {} });
    tree.apply(0, reading);
    for (const { index } of [...reading.files, ...reading.programs])
      if (index >= reading.counts.entries) throw new Error(`it read entry ${index} of ${reading.counts.entries}`);
  } catch (error) {
    if (!(error instanceof PromoterError) || !/^(?:LAYER_INVALID|SBOM_LIMIT)$/.test(error.code)) throw error;
  }
}

/** Layers of a few files, links and whiteouts, some of them written in odd ways. */
function layers(): Buffer[] {
  const random = randomOf(1);
  const status = Buffer.concat([file({ name: 'var/lib/dpkg/status' }, STATUS), END]);
  return [status, ...Array.from({ length: 200 }, () => mutatedLayer(random))];
}

function ofLayers(name: string, type: string, make: Reader['make']): Reader {
  const mediaType = `application/vnd.oci.image.layer.v1.${type}`;
  return { name, seeds: layers, make, read: (input) => readAnyLayer(input, mediaType) };
}

const STATUS =
  'Package: a\nStatus: install ok installed\nMaintainer: A B <a@example.org>\nArchitecture: amd64\nSource: s (1-2)\nVersion: 1:2-3+b1\n' +
  'Depends: b (>= 1) | c:any [amd64],\n d (<< 2)\nProvides: e (= 1), f\nDescription: x\n y\n .\n\n' +
  'Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: c\nStatus: install ok unpacked\nVersion: 2~rc1\n\n';
const COPYRIGHT_TEXT =
  'This is free software under the terms of the GNU Lesser\n * General Public License, either version 2.1, or (at your option) any later version.\n' +
  'The texts are in /usr/share/common-licenses/LGPL-2.1 and /usr/share/common-licenses/Apache-2.0.\n';
const COPYRIGHT =
  'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: a\nLicense: Expat\n\n' +
  'Files: *\nCopyright: 2020 A\nLicense: GPL-2+ with OpenSSL exception or Artistic-1.0 and BSD-3-clause\n text\n .\n more\n\n' +
  'Files: debian/* src/x.c\nLicense: MIT, and public-domain\n\nLicense: GPL-2+\n On Debian systems\n';
const WALL =
  '{"jsonwall":"1.0","schema":"1.0","count":5}\n{"kind":"package","name":"a","version":"1-1","sha256":"' +
  `${'ab'.repeat(32)}","arch":"amd64"}\n{"kind":"slice","name":"a_bins"}\n{"kind":"content","slice":"a_bins","path":"/usr/bin/a"}\n` +
  '{"kind":"path","path":"/usr/bin/a","mode":"0755","slices":["a_bins","a_libs"],"sha256":"00","size":3}\n';
const APK =
  'C:Q1p78yvTLG094tHE1+dToJGbmYzQE=\nP:busybox\nV:1.36.1-r5\nA:x86_64\nS:500\nI:900\nT:tools\nU:https://example.org\nL:GPL-2.0-only\n' +
  'o:busybox\nm:A B <a@example.org>\nt:1\nc:00\nD:so:libc.musl-x86_64.so.1 !x y>1.2 z~2\np:/bin/sh cmd:busybox=1.36.1-r5\nF:bin\nM:0:0:755\n' +
  'R:busybox\na:0:0:755\nZ:Q1x\nF:etc\nR:securetty\n\nC:Q2K8w+\nP:b\nV:1\nF:\nR:top\n\n';
const RPM_MANIFEST =
  'bash\t5.1.8-1.azl3\t1700000000\t1690000000\tMicrosoft Corporation\t(none)\t6000\tx86_64\t0\tbash-5.1.8-1.azl3.src.rpm\n' +
  'glibc\t2.38-3\t1\t1\tv\t2\t1\tnoarch\t1\t(none)\n';
const NPM =
  '{"name":"@scope/a","version":"1.0.0-rc.1+b","license":"(MIT OR Apache-2.0)","author":{"name":"A"},"dependencies":{"b":"^1"},"x":[1,null,"\\u00e9"]}';
const NPM_OLD = '{"name":"b","version":"0.1.0","licenses":[{"type":"MIT","url":"x"},{"name":"BSD"},"ISC"]}';
const METADATA =
  'Metadata-Version: 2.1\nName: Flask_Thing\nVersion: 3.0.0\nSummary: x\nAuthor-email: "A B" <a@example.org>, C <c@example.org>\nLicense: BSD\n' +
  'Classifier: License :: OSI Approved :: MIT License\nLicense-Expression: MIT AND BSD-3-Clause\nRequires-Dist: werkzeug (>=2.0) ; python_version < "3"\n' +
  'Requires-Dist: b[x,y]>=1; extra == "dev"\n more\n\nbody: no\n';
const RECORD =
  'flask/__init__.py,sha256=abc,12\n"a, ""b"".py",,\n../../../bin/flask,sha256=x,1\nflask-3.dist-info/RECORD,,\n/abs/x,,\n';
const REQUIRES = 'click>=8\nitsdangerous\n\n[dev]\npytest\n\n[:python_version < "3"]\ndataclasses\n';
const GO_LIST =
  'path\texample.com/app/cmd/server\nmod\texample.com/app\tv1.2.3\t\ndep\tgolang.org/x/text\tv0.20.0\th1:gK/Kv2otX8gz+wn7Rmb3vT96ZwuoxnQlY+HlJVj7Qug=\n' +
  'dep\texample.com/forked\tv1.0.0\n=>\texample.org/fork\tv1.0.1\th1:x=\nbuild\t-compiler=gc\nbuild\tGOOS=linux\n';
const CRATES =
  '{"packages":[{"name":"demo","version":"0.1.0","source":"local","dependencies":[1,2],"root":true},{"name":"itoa","version":"1.0.19","source":"crates.io"},' +
  '{"name":"cc","version":"1.2.0","source":"crates.io","kind":"build"}]}';
const RELEASE =
  'IMPLEMENTOR="Eclipse Adoptium"\nJAVA_RUNTIME_VERSION="21.0.5+11-LTS"\nJAVA_VERSION="21.0.5"\nMODULES="java.base java.logging"\nOS_ARCH="x86_64"\n';
/** Of an SDK of .NET: the commit, the version and the platform. */
const SDK_VERSION = Buffer.from(`${'0'.repeat(40)}\n8.0.100\nlinux-x64\n`);
const DEPS =
  '{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-x64","signature":""},"targets":{".NETCoreApp,Version=v8.0/linux-x64":{"app/1.0.0":{"dependencies":' +
  '{"A.B":"1.2.3"},"runtime":{"app.dll":{}}},"A.B/1.2.3":{"dependencies":{"C":"1.0.0"},"runtime":{"lib/net8.0/A.B.dll":{"assemblyVersion":"1.0.0.0"}}},' +
  `"C/1.0.0":{"native":{"libc.so":{}},"resources":{"de/c.resources.dll":{"locale":"de"}}}}},"libraries":{"app/1.0.0":{"type":"project"},"A.B/1.2.3":{"type":"package","sha512":` +
  `"sha512-${Buffer.alloc(64, 1).toString('base64')}"},"C/1.0.0":{"type":"package","sha512":"sha512-x"}}}`;
const GEMSPEC =
  '# -*- encoding: utf-8 -*-\n# stub: a-b 1.2.3 ruby lib\n# stub: ext/a/extconf.rb\n\nGem::Specification.new do |s|\n  s.name = "a-b".freeze\n  s.version = "1.2.3"\n\n' +
  '  s.platform = \'x86_64-linux\'\n  s.licenses = ["MIT".freeze, %q{Ruby}]\n  s.summary = "x # y".freeze\n  if s.respond_to? :specification_version then\n' +
  '    s.add_runtime_dependency(%q<c>.freeze, ["~> 1.0"])\n  end\nend\n';
const COMPOSER =
  '{"packages":[{"name":"a/b","version":"v1.2.3","version_normalized":"1.2.3.0","license":["MIT","BSD-3-Clause"],"dist":{"type":"zip","shasum":"' +
  `${'0a'.repeat(20)}"},"require":{"php":">=8","c/d":"^1","ext-json":"*"},"provide":{"psr/log-implementation":"1"},"install-path":"../a/b"},{"name":"c/d","version":"1"}],"dev":true,"dev-package-names":["c/d"]}`;
const OS_RELEASE =
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME=\'Debian\'\nVERSION_ID="12"\nID=debian\nHOME_URL="https://example.org/"\n';

function rustProgram(json: Buffer): Buffer {
  return program(deflateSync(json, { level: 9 }));
}

function goProgram(list: Buffer): Buffer {
  return program(inlineInfo('go1.22.3', framed(list)));
}

/** A program of one writable segment, which begins behind its header. */
function program(...parts: Buffer[]): Buffer {
  const header = elfHeader([{ offset: 128, size: 8192, address: 0x400000, flags: 6 }]);
  return Buffer.concat([Buffer.concat([header], 128), ...parts]);
}

/** Go before 1.18: the addresses of the strings that have the addresses of version and list. */
function oldGoProgram(): Buffer {
  const info = Buffer.concat([MAGIC, Buffer.from([8, 0])], 64);
  info.writeBigUInt64LE(0x400020n, 16);
  info.writeBigUInt64LE(0x400040n, 32);
  info.writeBigUInt64LE(9n, 40);
  return program(info, Buffer.from('go1.17.13\0'), framed(GO_LIST));
}

const POM = { name: 'META-INF/maven/g/a/pom.properties', content: '#x\ngroupId=g\nartifactId=a\nversion=1.0\n' };
const MANIFEST =
  'Manifest-Version: 1.0\nImplementation-Title: a\nImplementation-Version: 1.2\nBundle-SymbolicName: a.b;singleton:=true\nBundle-Version: 1\n .2.0\nBundle-License: "MIT";x=1\n\nName: x\n';
const POM_XML =
  '<?xml version="1.0"?><!-- c --><project xmlns="x"><parent><groupId>p</groupId><artifactId>q</artifactId><version>1</version></parent><artifactId>a</artifactId>' +
  '<version>${project.parent.version}</version><licenses><license><name>MIT</name></license></licenses></project>';

function jar(manifest: string | Buffer, pom: string | Buffer = POM_XML): Buffer {
  const inner = rawZip([{ ...POM, method: 'store' }]);
  return rawZip(
    [
      { name: 'META-INF/MANIFEST.MF', content: manifest, descriptor: true },
      { name: 'META-INF/maven/g/a/pom.xml', content: pom },
      { ...POM, zip64: true },
      { name: 'BOOT-INF/lib/b-2.0.jar', content: inner, method: 'store' },
      { name: 'org/example/A.class', content: 'x', descriptor: 'long' },
    ],
    { comment: 'c' },
  );
}

function jars(): Buffer[] {
  return [
    jar(MANIFEST),
    rawZip([{ name: 'c.war', content: jar('') }, POM], { zip64: true, prefix: Buffer.from('#!') }),
  ];
}

const HEADERS = () => [fullHeader(), simpleHeader('b', '1', '2', 300), simpleHeader('c')];

/** Every reader of an SBOM, by its input. */
export const READERS: readonly Reader[] = [
  ofLayers('tar', 'tar', (random, layers) => (random() < 0.5 ? mutatedLayer(random) : mutated(random, layers))),
  ofLayers('gzip framing', 'tar+gzip', (random, layers) => packed(random, pick(random, layers), true)),
  ofLayers('zstd framing', 'tar+zstd', (random, layers) => packed(random, pick(random, layers), false)),
  ofCataloger('dpkg status', dpkgCataloger, { path: 'var/lib/dpkg/status' }, () => [STATUS]),
  ofCataloger('dpkg lists', dpkgCataloger, { path: 'var/lib/dpkg/info/a:amd64.list', beside: { 'var/lib/dpkg/status': STATUS } }, () => [
    '/.\n/usr\n/usr/bin\n/usr/bin/a\n/usr/share/doc/a\n',
    'd41d8cd98f00b204e9800998ecf8427e  usr/bin/a\nd41d8cd98f00b204e9800998ecf8427e  usr/lib/a.so\n',
  ]), // prettier-ignore
  ofCataloger('copyright for people', dpkgCataloger, { path: 'usr/share/doc/a/copyright', beside: { 'var/lib/dpkg/status': STATUS } }, () => [COPYRIGHT_TEXT]), // prettier-ignore
  ofCataloger('DEP-5 copyright', dpkgCataloger, { path: 'usr/share/doc/a/copyright', beside: { 'var/lib/dpkg/status': STATUS } }, () => [COPYRIGHT]), // prettier-ignore
  ofCataloger('chisel manifest', dpkgCataloger, { path: 'var/lib/chisel/manifest.wall' }, ...packedBy(zstdCompressSync, WALL)), // prettier-ignore
  ofCataloger('apk database', apkCataloger, { path: 'lib/apk/db/installed' }, () => [APK]),
  ofCataloger('rpm sqlite', rpmCataloger, { path: 'var/lib/rpm/rpmdb.sqlite' }, () => [sqliteDatabase(HEADERS(), { pageBytes: 512 })]), // prettier-ignore
  ofCataloger('rpm Berkeley DB', rpmCataloger, { path: 'var/lib/rpm/Packages' }, () => [berkeleyDb(HEADERS()), berkeleyDb(HEADERS(), { order: 'big', hashPage: 2 })]), // prettier-ignore
  ofCataloger('rpm ndb', rpmCataloger, { path: 'usr/lib/sysimage/rpm/Packages.db' }, () => [ndbDatabase(HEADERS())]),
  ofCataloger('rpmmanifest', rpmCataloger, { path: 'var/lib/rpmmanifest/container-manifest-2' }, () => [RPM_MANIFEST]),
  ofCataloger('npm package.json', npmCataloger, { path: 'node_modules/a/package.json' }, () => [NPM, NPM_OLD]),
  ofCataloger('package.json of a program', javascriptCataloger, { path: 'opt/yarn/package.json' }, () => [
    '{"name":"yarn","version":"1.22.22","license":"BSD-2-Clause","main":"lib/cli.js","bin":{"yarn":"./bin/yarn.js","yarnpkg":"./bin/../x"}}',
    '{"name":"@s/a","version":"1.0.0","bin":"cli"}',
  ]),
  ofCataloger('Python metadata', pythonCataloger, { path: 'a.dist-info/METADATA', beside: { 'a.dist-info/RECORD': RECORD } }, () => [METADATA, RECORD, REQUIRES]), // prettier-ignore
  ofCataloger('Python lists', pythonCataloger, { path: 'a.dist-info/RECORD', beside: { 'a.dist-info/METADATA': METADATA } }, () => [RECORD, REQUIRES]), // prettier-ignore
  ofCataloger('Go build info', binariesCataloger, { path: 'a' }, ...packedBy(goProgram, GO_LIST)),
  ofCataloger('Go build info before 1.18', binariesCataloger, { path: 'a' }, () => [oldGoProgram()]),
  {
    name: 'ELF header',
    seeds: () => [program()],
    make: mutated,
    read(input) {
      const segments = readSegments(input) ?? [];
      if (segments.length > 100) throw new Error(`${segments.length} segments`);
      for (const { address, size } of segments) {
        const offset = offsetOf(segments, address);
        if (size > 0 && (offset === undefined || Number.isNaN(offset))) throw new Error('an address without a place');
      }
      return Promise.resolve();
    },
  },
  ofCataloger('programs without a package', binariesCataloger, { path: 'a' }, () => [
    program(Buffer.from('\0node.js/v22.12.0\0BusyBox v1.36.1 (x)\0')),
    program(Buffer.from('\x003.12.4\0%.80s (%.80s) %.80s\0\x003.2.0\0')),
  ]), // prettier-ignore
  ofCataloger('Rust audit data', binariesCataloger, { path: 'a' }, ...packedBy(rustProgram, CRATES)),
  ofCataloger('JDK release', jdkCataloger, { path: 'opt/java/release' }, () => [RELEASE]),
  ofCataloger('Java archives', javaCataloger, { path: 'opt/a-1.jar' }, jars, (random, seeds) =>
    random() < 0.5
      ? mutated(random, seeds)
      : jar(mutated(random, [Buffer.from(MANIFEST)]), mutated(random, [Buffer.from(POM_XML)])),
  ),
  ofCataloger('deps.json', dotnetCataloger, { path: 'app/app.deps.json' }, () => [DEPS]),
  ofCataloger('.version', dotnetSdkCataloger, { path: 'sdk/8.0.100/.version' }, () => [SDK_VERSION]),
  ofCataloger('gemspec', rubyCataloger, { path: 'usr/lib/ruby/gems/3.1.0/specifications/a-b-1.2.3.gemspec' }, () => [GEMSPEC]), // prettier-ignore
  ofCataloger('Composer installed.json', phpCataloger, { path: 'vendor/composer/installed.json' }, () => [COMPOSER]),
  ofCataloger('os-release', osReleaseCataloger, { path: 'etc/os-release' }, () => [OS_RELEASE]),
];
