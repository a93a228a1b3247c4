import { spawn } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Everything } from '../../support/stack/everything.js';
import { freePorts, portOptions } from '../start/started.js';
import type { Block } from './blocks.js';

/** A checkout as a reader has it, with the local stack's `.local`, and the programs of the pages on PATH. */
export interface Checkout {
  folder: string;
  env: Record<string, string>;
}

/** Makes the checkout from links. `npm ci` and `npm run build` do nothing there; `npm start` gets its own ports and folder. */
export async function makeCheckout(folder: string, up: Everything): Promise<Checkout> {
  const checkout = join(folder, 'checkout');
  const programs = join(folder, 'bin');
  await Promise.all([mkdir(checkout), mkdir(programs), mkdir(join(folder, 'home'))]);
  for (const name of await readdir('.')) {
    if (!['.local', '.git'].includes(name)) await symlink(resolve(name), join(checkout, name));
  }
  await symlink(up.dataDir, join(checkout, '.local'));
  const again = [...portOptions(await freePorts()), '--data-dir', join(folder, 'again')].join(' ');
  const program = (name: string, text: string): Promise<void> =>
    writeFile(join(programs, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await program('acr-promoter', `exec ${process.execPath} ${resolve('bin/acr-promoter.mjs')} "$@"`);
  await program(
    'npm',
    `case "$1" in
ci) exit 0 ;;
run) test "$2" = build && exit 0 ;;
start) shift; test "$1" = -- && shift; exec ${process.execPath} --no-warnings dist/local/start/main.js "$@" ${again} ;;
esac
echo "npm $*: mark the block as long, or as azure" >&2; exit 1`,
  );
  return {
    folder: checkout,
    env: {
      PATH: `${programs}:${process.env['PATH'] ?? ''}`,
      HOME: join(folder, 'home'),
      ...(process.env['NODE_EXTRA_CA_CERTS'] !== undefined && {
        NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'],
      }),
    },
  };
}

/** The result of a page's blocks, up to the first failure. */
export interface Went {
  code: number;
  output: string;
  /** The one that the shell was at. */
  last: Block | undefined;
}

/** Runs the blocks of a page in one shell until one fails; `localhost:5100` and the like are replaced by the stack's own ports. */
export async function runBlocks({ folder, env }: Checkout, up: Everything, blocks: readonly Block[]): Promise<Went> {
  const own = (text: string): string =>
    text
      .replaceAll('localhost:5100', up.source)
      .replaceAll('localhost:5101', up.staging)
      .replaceAll('http://localhost:7071', up.hostUrl);
  // `set -e` does not see a failure before `&&`. What curl prints may end without a line feed.
  const script = blocks
    .map(({ text }, index) => `printf "\\n@@ block ${index}\\n" >&2\n${own(text)}\ntest $? -eq 0 || exit 1\n`)
    .join('');
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? 1)));
  const at = [...output.matchAll(/^@@ block (\d+)$/gm)].at(-1)?.[1];
  return { code, output, last: blocks[Number(at)] };
}
