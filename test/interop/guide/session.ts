import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { GUIDE, type GuideCommand } from '../guide.js';
import { runProgram } from '../oras/side-by-side.js';

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

/** Types the whole guide in a folder, with `oras` being our command. */
export async function typeGuide(folder: string, env: Record<string, string>): Promise<Did[]> {
  const bin = join(folder, 'bin');
  const home = join(folder, 'home');
  const work = join(folder, 'work');
  for (const each of [bin, home, work]) await mkdir(each, { recursive: true });
  const shim = `#!/bin/sh\nexec '${process.execPath}' '${resolve('bin/acr-promoter.mjs')}' "$@"\n`;
  await writeFile(join(bin, 'oras'), shim, { mode: 0o755 });
  await writeFile(join(work, 'image.json'), '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}\n');
  await writeFile(join(work, 'image.tar'), Buffer.alloc(1024));
  const commands = GUIDE.flatMap((section) => section.commands).filter(({ notRun }) => notRun !== true);
  const script = `set -o pipefail\n${scriptOf(commands)}\n`;
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
