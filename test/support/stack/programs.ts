import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. */
function run(program: string, args: readonly string[], env: Record<string, string> = {}, cwd?: string): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      {
        env: { ...process.env, ...env },
        maxBuffer: 64 * 1024 * 1024,
        timeout: 120_000,
        ...(cwd !== undefined && { cwd }),
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** The same, where anything but 0 is a failure of the test. */
export async function must(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
  cwd?: string,
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, env, cwd);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stdout}\n${stderr}`);
  return stdout;
}

export interface Discovered {
  digest: string;
  artifactType?: string;
  referrers?: Discovered[];
}

/** What `oras discover` sees. */
export async function discover(
  oras: string,
  reference: string,
  user: { name: string; password: string } | undefined,
): Promise<Discovered> {
  const login = user === undefined ? [] : ['-u', user.name, '-p', user.password];
  return JSON.parse(
    await must(oras, ['discover', '--plain-http', '--format', 'json', ...login, reference]),
  ) as Discovered;
}

/** `notation verify` with a trust policy of one certificate. @returns its exit code and output */
export async function notationVerify(
  notation: string,
  reference: string,
  certificatePath: string,
  user: { name: string; password: string } | undefined,
  /** More options: `--user-metadata`. */
  more: readonly string[] = [],
): Promise<Ran> {
  const home = await mkdtemp(join(tmpdir(), 'notation-'));
  const env = { XDG_CONFIG_HOME: home, HOME: home };
  try {
    await must(notation, ['cert', 'add', '--type', 'ca', '--store', 'ours', certificatePath], env);
    const policy = {
      version: '1.0',
      trustPolicies: [
        {
          name: 'ours',
          registryScopes: ['*'],
          signatureVerification: { level: 'strict' },
          trustStores: ['ca:ours'],
          trustedIdentities: ['*'],
        },
      ],
    };
    const { writeFile } = await import('node:fs/promises');
    await writeFile(join(home, 'policy.json'), JSON.stringify(policy));
    await must(notation, ['policy', 'import', join(home, 'policy.json')], env);
    const login = user === undefined ? [] : ['-u', user.name, '-p', user.password];
    return await run(notation, ['verify', '--insecure-registry', ...login, ...more, reference], env);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** JSON lines of a file. */
export async function readJsonLines(path: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
