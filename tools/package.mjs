// npm run package: writes what is deployed, as a folder for azd (out/package) and as a zip (out/acr-promoter.zip).
// usage: node tools/node22.mjs tools/package.mjs [--out FOLDER]
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundleWorker } from './bundle-worker.mjs';
import { listFiles, writeZip } from './zip.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({ options: { out: { type: 'string', default: 'out' } } });
const out = resolve(root, values.out);
const stage = join(out, 'package');
const zip = join(out, 'acr-promoter.zip');

function run(title, program, args, cwd) {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    shell: process.platform === 'win32' && program === 'npm',
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}package: ${title} failed${error ? `: ${error.message}` : ''}\n`);
  process.exit(1);
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

// Compiles into the stage: dist may hold files of renamed sources, and local/ is never deployed.
function compile() {
  const config = join(out, 'tsconfig.package.json');
  writeJson(config, {
    extends: relative(out, join(root, 'tsconfig.json')),
    compilerOptions: {
      outDir: join(stage, 'dist'),
      declaration: false,
      sourceMap: false,
      incremental: false,
      tsBuildInfoFile: null,
      // Resolved from this file, wherever it is.
      typeRoots: [join(root, 'node_modules', '@types')],
    },
    include: [join(root, 'src')],
  });
  run('compiling', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', config], root);
  rmSync(config);
}

// npm ci needs package.json and lock to agree, so both are complete here and removed afterwards.
function installDependencies(manifest) {
  const { scripts: _scripts, ...withoutScripts } = manifest;
  writeJson(join(stage, 'package.json'), withoutScripts);
  cpSync(join(root, 'package-lock.json'), join(stage, 'package-lock.json'));
  const args = [
    'ci',
    '--omit=dev',
    '--omit=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
  ];
  const npm = process.env.npm_execpath ?? '';
  if (npm.endsWith('.js')) run('npm ci', process.execPath, [npm, ...args], stage);
  else run('npm ci', 'npm', args, stage);
  for (const name of ['package-lock.json', 'node_modules/.bin', 'node_modules/.package-lock.json']) {
    rmSync(join(stage, name), { recursive: true, force: true });
  }
}

// Source maps and declarations are half of the package, which every cold start reads.
function dropWhatNobodyRuns() {
  for (const name of listFiles(stage, 'node_modules/')) {
    if (/\.(?:[cm]?js|[cm]?ts)\.map$|\.d\.[cm]?ts$/.test(name)) rmSync(join(stage, name));
  }
}

function writeManifest(manifest) {
  const { name, version, description, license, type, main, engines, exports, dependencies } = manifest;
  writeJson(join(stage, 'package.json'), {
    name,
    version,
    description,
    license,
    private: true,
    type,
    main,
    engines,
    exports,
    dependencies,
  });
}

const started = Date.now();
rmSync(stage, { recursive: true, force: true });
rmSync(zip, { force: true });
mkdirSync(stage, { recursive: true });
compile();
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
installDependencies(manifest);
// It has parts of the installed packages.
await bundleWorker(join(stage, 'dist'));
dropWhatNobodyRuns();
writeManifest(manifest);
for (const name of ['host.json', 'LICENSE']) cpSync(join(root, name), join(stage, name));
// Rules can be deployed with the app: PROMOTION_RULES=rules.json.
for (const name of ['rules.json', 'rules.yaml']) {
  if (existsSync(join(root, name))) cpSync(join(root, name), join(stage, name));
}
const files = writeZip(stage, zip);
const megabytes = (statSync(zip).size / 1e6).toFixed(1);
process.stdout.write(
  `${relative(root, zip)}: ${files} files, ${megabytes} MB, in ${((Date.now() - started) / 1000).toFixed(1)} s; the same in ${relative(root, stage)}\n`,
);
