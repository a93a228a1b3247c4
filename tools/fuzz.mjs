// npm run fuzz [-- NAME SECONDS]: coverage-guided fuzzing of test/fuzz/NAME.fuzz.ts (default: each for 60 seconds). What it
// finds stays in out/fuzz/NAME: the corpus, and crash-… with an input that failed. Jazzer.js is installed on the first call.
// It needs glibc 2.38. On an older system, FUZZ_GLIBC names a folder with a newer one (Debian's libc6, libstdc++6 and libgcc-s1,
// unpacked by dpkg -x).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { buildSync } from 'esbuild';
import { findNode } from './node22.mjs';

const JAZZER = '@jazzer.js/core@4.0.0';
const home = resolve('.peers/jazzer');
const glibc = process.env.FUZZ_GLIBC && resolve(process.env.FUZZ_GLIBC, 'usr/lib/x86_64-linux-gnu');
const runner = glibc ? [`${glibc}/ld-linux-x86-64.so.2`, '--library-path', glibc, findNode()] : [findNode()];
const program = resolve(home, 'node_modules/@jazzer.js/core/dist/cli.js');
if (!existsSync(program)) {
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', home, JAZZER], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(1);
}
const [name, seconds = '60'] = process.argv.slice(2);
const targets = readdirSync('test/fuzz').flatMap((file) => /^(.+)\.fuzz\.ts$/.exec(file)?.[1] ?? []);
let failed = 0;
for (const target of name === undefined ? targets : [name]) {
  const folder = resolve('out/fuzz', target);
  const corpus = resolve(folder, 'corpus');
  mkdirSync(corpus, { recursive: true });
  // Jazzer instruments what is required, and no modules: so the target is one file.
  const bundle = resolve(folder, 'target.cjs');
  buildSync({
    entryPoints: [`test/fuzz/${target}.fuzz.ts`],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    sourcemap: 'inline',
    logLevel: 'warning',
  });
  const { seeds } = createRequire(import.meta.url)(bundle);
  for (const [index, seed] of seeds().entries()) writeFileSync(resolve(corpus, `seed-${index}`), seed);
  const flags = [`-max_total_time=${seconds}`, '-max_len=16384', '-rss_limit_mb=2048', `-artifact_prefix=${folder}/`];
  const [command, ...before] = runner;
  // By the clock, and machines are shared.
  const args = [...before, program, bundle, corpus, '-i', 'target.cjs', '--timeout=30000', '--', ...flags];
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  process.stdout.write(`fuzz ${target}: ${status === 0 ? 'ok' : 'FAILED'}\n`);
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
