// Takes a lease by lock file, and does with it what it is told: `hold` it for ever, or `count` in a file under it.
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLockFileLease } from '../../../../src/cli/locks/lock-file-lease.js';

const [, , what = '', folder = '', name = '', counter = '', times = '0'] = process.argv;
const lease = createLockFileLease(folder);

async function hold(): Promise<void> {
  const held = await lease.acquire(name, { waitMs: 10_000 });
  if (held === undefined) throw new Error('the lease was not to be had');
  process.stdout.write('held\n');
  await sleep(60_000);
  await held.release();
}

async function count(): Promise<void> {
  for (let done = 0; done < Number(times); done += 1) {
    const held = await lease.acquire(name, { waitMs: 60_000 });
    if (held === undefined) throw new Error('the lease was not to be had');
    // What two of them do at the same time is lost.
    const before = Number(await readFile(counter, 'utf8'));
    await sleep(2);
    await writeFile(counter, String(before + 1));
    await held.release();
  }
}

await (what === 'hold' ? hold() : count());
