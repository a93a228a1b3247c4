import { pathToFileURL } from 'node:url';

// Runs a script as a child of `npm start`, and ends with it: when the parent is gone, however it went, the channel closes.
// usage: child.js SCRIPT [arguments]

const [, , script, ...rest] = process.argv;
if (script === undefined || process.channel === undefined) {
  process.stderr.write('child.js is started by npm start, with a script to run\n');
  process.exit(2);
}
process.once('disconnect', () => {
  // As if told to stop; at once where the script doesn't listen.
  setTimeout(() => process.exit(1), 10_000).unref();
  process.kill(process.pid, 'SIGTERM');
});
process.channel.unref();
process.argv = [process.execPath, script, ...rest];
await import(pathToFileURL(script).href);
