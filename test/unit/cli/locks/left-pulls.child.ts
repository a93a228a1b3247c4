// Claims the files of a pull, and runs until it is killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { claimStage } from '../../../../src/cli/locks/left-pulls.js';

const release = await claimStage(process.argv[2] ?? '');
process.stdout.write('claimed\n');
await sleep(60_000);
release();
