import { expect, test } from '@jest/globals';
import { join } from 'node:path';
import { IS_FULL } from './bench.js';
import { measure } from './measure.js';

const BYTES = IS_FULL ? 10e9 : 200e6;
const MOST_MB = 200;

test('memory for a plain layer of 10 GB is that of a small one', async () => {
  const child = join(import.meta.dirname, 'sbom-memory.child.ts');
  const args = ['--no-warnings', '--experimental-strip-types', child, String(BYTES)];
  const { peakMb, wallMs } = await measure({ program: process.execPath, args });
  process.stdout.write(`SBOM of ${BYTES / 1e9} GB: ${Math.round(peakMb)} MB, ${Math.round(wallMs)} ms\n`);
  expect(peakMb).toBeLessThan(MOST_MB);
}, 3_600_000);
