import { pathToFileURL } from 'node:url';

// Runs a script as a child of `npm start`, and ends with it: when the parent is gone, however it ended, the channel
// closes. Usage: child.js NAME DATA_DIR SCRIPT [arguments]

const HOST_ENDS_MS = 10_000;
const END_MS = 15_000;
const LOOK_MS = 100;

const [, , name, dataDir, script, ...rest] = process.argv;
if (name === undefined || dataDir === undefined || script === undefined || process.channel === undefined) {
  process.stderr.write('child.js is started by npm start: child.js NAME DATA_DIR SCRIPT [arguments]\n');
  process.exit(2);
}

/**
 * Waits for the hosts to end first, as in a normal stop. If storage ended first, it would lose what it has
 * acknowledged.
 */
async function untilHostsAreGone(self: string, folder: string): Promise<void> {
  // Loaded late, because loading would slow each start.
  const { isHost, livingProcesses } = await import('./processes-file.js');
  if (isHost({ name: self })) return;
  for (const until = Date.now() + HOST_ENDS_MS; Date.now() < until && livingProcesses(folder).some(isHost);) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

process.once('disconnect', () => {
  setTimeout(() => process.exit(1), END_MS).unref();
  // Nobody reads the output any more. A write error must not end storage before it has saved its data.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  // Ends the script with SIGTERM, as a normal stop would.
  void untilHostsAreGone(name, dataDir).finally(() => process.kill(process.pid, 'SIGTERM'));
});
process.channel.unref();
process.argv = [process.execPath, script, ...rest];
await import(pathToFileURL(script).href);
