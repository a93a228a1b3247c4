import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { GUIDE, type GuideCommand } from '../guide.js';
import { runProgram } from '../oras/side-by-side.js';

/** As the guide calls it: what it prints, and digests of what holds its name, are the same whatever port is free. */
export const GUIDES_REGISTRY = 'myregistry.azurecr.io';

/** What came of one command. */
export interface Did {
  command: GuideCommand;
  /** What it printed, on both streams. */
  printed: string;
  code: number;
}

/** The shell that types the guide from its first line to its last: variables and files stay. */
function scriptOf(commands: readonly GuideCommand[]): string {
  return commands
    .flatMap(({ line, before, instead, input, shows }, at) => [
      `{ ${before ?? ':'} ; } >before-${at} 2>&1 || { cat before-${at} >&2; exit 9; }`,
      `{ ${instead ?? line}${input === undefined ? '' : ` <<<'${input}'`} ; } >printed-${at} 2>&1; echo $? >code-${at}`,
      ...(shows === undefined ? [] : [`${shows} >>printed-${at}`]),
    ])
    .join('\n');
}

/**
 * Types the whole guide in a folder, with `oras` being our command, which finds the guide's registry at a local one.
 * @param address `127.0.0.1:5000`, where it speaks plain HTTP
 */
export async function typeGuide(folder: string, address: string, env: Record<string, string>): Promise<Did[]> {
  const bin = join(folder, 'bin');
  const home = join(folder, 'home');
  const work = join(folder, 'work');
  for (const each of [bin, home, work]) await mkdir(each, { recursive: true });
  const shim = [
    '#!/bin/sh',
    'case "$1" in cp | copy) plain="--from-plain-http --to-plain-http" ;; *) plain=--plain-http ;; esac',
    `exec '${process.execPath}' '${resolve('bin/acr-promoter.mjs')}' "$@" $plain --resolve ${GUIDES_REGISTRY}:80:${address}`,
    '',
  ].join('\n');
  await writeFile(join(bin, 'oras'), shim, { mode: 0o755 });
  await writeFile(join(work, 'image.json'), '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}\n');
  await writeFile(join(work, 'image.tar'), Buffer.alloc(1024));
  const commands = GUIDE.flatMap((section) => section.commands).filter(({ notRun }) => notRun !== true);
  const script = `umask 022; set -o pipefail\n${scriptOf(commands)}\n`;
  const ran = await runProgram('bash', ['-c', script], {
    cwd: work,
    env: { ...env, HOME: home, DOCKER_CONFIG: join(home, '.docker'), PATH: `${bin}${delimiter}${process.env['PATH']}` },
  });
  if (ran.code !== 0) throw new Error(`the shell ended with ${ran.code}: ${ran.err}`);
  const read = (name: string): Promise<string> => readFile(join(work, name), 'utf8');
  return Promise.all(
    commands.map(async (command, at) => ({
      command,
      printed: await read(`printed-${at}`),
      code: Number(await read(`code-${at}`)),
    })),
  );
}
