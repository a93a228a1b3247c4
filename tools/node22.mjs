// Runs a script under Node 22 if the machine's own Node is too old. Plain JavaScript: any Node can start it.
// usage: node tools/node22.mjs [node options] SCRIPT [arguments]
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST = [22, 22, 2];
const root = dirname(dirname(fileURLToPath(import.meta.url)));

export function isNewEnough(version) {
  const parts = version.split('.').map(Number);
  for (const [index, wanted] of OLDEST.entries()) {
    if (parts[index] !== wanted) return parts[index] > wanted;
  }
  return true;
}

/** The path of a Node that is new enough: this one, or the one in this platform's npm package. */
export function findNode() {
  if (isNewEnough(process.versions.node)) return process.execPath;
  const os = process.platform === 'win32' ? 'win' : process.platform;
  const program = os === 'win' ? 'node.exe' : 'node';
  // Installed inside a checkout, or beside us when we are a dependency.
  for (const modules of [join(root, 'node_modules'), dirname(root)]) {
    const path = join(modules, `node-${os}-${process.arch}`, 'bin', program);
    if (existsSync(path)) return path;
  }
  process.stderr.write(
    `acr-promoter needs Node ${OLDEST.join('.')} or newer; this is ${process.versions.node}, and the npm package ` +
      `node-${os}-${process.arch} that carries one is not installed.\nInstall Node 22 or 24, or run npm ci without --omit=optional.\n`,
  );
  process.exit(1);
}

/** Runs node with these arguments, forwards signals, and exits with its code. */
export function runNode(args) {
  const node = findNode();
  const path = `${dirname(node)}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH ?? ''}`;
  const child = spawn(node, args, { stdio: 'inherit', env: { ...process.env, PATH: path } });
  // The terminal sends Ctrl-C to the child as well; only signals to this process alone are forwarded.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // npm signals the shell between it and us, and only the shell ends. Without a parent this process must end, too.
  if (process.env.npm_lifecycle_event !== undefined) {
    const parent = process.ppid;
    const timer = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(timer);
      child.kill('SIGTERM');
    }, 500);
    timer.unref();
  }
  child.on('error', (error) => {
    process.stderr.write(`cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    } else process.exit(code ?? 1);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runNode(process.argv.slice(2));
