// npm run check: types, lint, format, import arrows, unused code, words; each one runs even if an earlier one failed.
import { spawnSync } from 'node:child_process';
import { findNode } from './node22.mjs';

const checks = [
  ['types', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.check.json'],
  [
    'lint',
    'node_modules/oxlint/bin/oxlint',
    '--type-aware',
    '--deny-warnings',
    'src',
    'local',
    'test',
    'tools',
    'bin',
    'infra',
  ],
  ['format', 'node_modules/prettier/bin/prettier.cjs', '--check', '--log-level', 'warn', '.'],
  [
    'import arrows',
    'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
    '--output-type',
    'err',
    'src',
    'local',
  ],
  ['unused code', 'node_modules/knip/bin/knip.js'],
  ['plain words', 'tools/plain-words.mjs'],
  ['links of docs', 'tools/doc-links.mjs'],
  ['error codes', 'tools/errors.mjs', '--check'],
  // These read dist, which npm ci and npm run build write.
  ['job schema', 'tools/job-schema.mjs', '--check'],
  ['reference', 'tools/reference.mjs', '--check'],
];
const only = process.argv.slice(2);
let failed = 0;
for (const [name, script, ...args] of checks) {
  if (only.length > 0 && !only.includes(name)) continue;
  const started = Date.now();
  const { status } = spawnSync(findNode(), [script, ...args], { stdio: 'inherit' });
  process.stdout.write(
    `check ${name}: ${status === 0 ? 'ok' : 'FAILED'} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`,
  );
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
