// npm run test:full: everything, as long as it takes; all of it even where a part fails. FULL raises the counts of seeds,
// repetitions and kills that the other tiers cut to fit.
import { spawnSync } from 'node:child_process';
import { findNode } from './node22.mjs';

const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', '--runInBand'];
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
