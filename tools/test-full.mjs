// npm run test:full: every test without a limit on time; each part runs even if an earlier one failed. FULL raises the counts of seeds,
// repetitions and kills.
import { spawnSync } from 'node:child_process';
import { findNode } from './node22.mjs';

const jest = ['--no-warnings', 'node_modules/jest/bin/jest.js', '--runInBand'];
let failed = 0;
for (const project of ['unit', 'interop', 'faults', 'bench']) {
  const { status } = spawnSync(findNode(), [...jest, '--selectProjects', project], {
    stdio: 'inherit',
    env: { ...process.env, FULL: '1' },
  });
  process.stdout.write(`test:full ${project}: ${status === 0 ? 'ok' : 'FAILED'}\n`);
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
