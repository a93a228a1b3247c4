import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

/** Azurite's public development key. */
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Azurite's queue service as a child process, in memory, on a free port. */
export async function startAzuriteQueue(): Promise<{ connectionString: string; stop(): Promise<void> }> {
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/queue/main.js');
  const args = ['--queuePort', '0', '--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry'];
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  let address: string | undefined;
  while (address === undefined) {
    await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    if (child.exitCode !== null) {
      throw new Error(`Azurite ended: ${out}`);
    }
    address = /successfully listens on (http:\S+)/.exec(out)?.[1];
  }
  const account = 'devstoreaccount1';
  return {
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${KEY};QueueEndpoint=${address}/${account};`,
    async stop() {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}
