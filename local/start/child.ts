import { pathToFileURL } from 'node:url';

// Runs a script as a child of `npm start`, and ends with it: when the parent is gone, however it went, the channel closes.
// usage: child.js NAME DATA_DIR SCRIPT [arguments]

const HOST_ENDS_MS = 10_000;
const END_MS = 15_000;
const LOOK_MS = 100;

const [, , name, dataDir, script, ...rest] = process.argv;
if (name === undefined || dataDir === undefined || script === undefined || process.channel === undefined) {
  process.stderr.write('child.js is started by npm start, with a name, a folder and a script to run\n');
  process.exit(2);
}

/** The hosts first, as when `npm start` stops by itself: storage that closes keeps nothing more of what it says that it has done. */
async function untilHostsAreGone(self: string, folder: string): Promise<void> {
  // Not before it is needed: it would make each start slower.
  const { isHost, livingProcesses } = await import('./processes-file.js');
  if (isHost({ name: self })) return;
  for (const until = Date.now() + HOST_ENDS_MS; Date.now() < until && livingProcesses(folder).some(isHost);) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

process.once('disconnect', () => {
  setTimeout(() => process.exit(1), END_MS).unref();
  // Nobody reads any more: a line that says that storage is closing must not end it before it has kept what it has.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  // As if told to stop; at once where the script doesn't listen.
  void untilHostsAreGone(name, dataDir).finally(() => process.kill(process.pid, 'SIGTERM'));
});
process.channel.unref();
process.argv = [process.execPath, script, ...rest];
await import(pathToFileURL(script).href);
