// Runs programs for the hooks. Plain JavaScript without packages, so that any Node can run it.
import { spawn } from 'node:child_process';

/** What a hook ends with, instead of a stack: what is wrong, and what to do. */
export class HookError extends Error {}

/**
 * Runs a program to its end, and takes what it says.
 * @returns {Promise<{code: number, out: string, err: string}>}
 */
export function run(program, args, env = process.env) {
  return new Promise((resolve, reject) => {
    // On Windows az is az.cmd, which needs a shell. None of our arguments has a quotation mark or a percent sign.
    const viaShell = process.platform === 'win32' && program === 'az';
    const given = viaShell ? args.map((arg) => `"${arg}"`) : args;
    const child = spawn(program, given, { env, shell: viaShell, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
    child.on('error', (error) => {
      const missing = error.code === 'ENOENT';
      reject(missing ? new HookError(`${program} is not installed or not on PATH (docs/how-to/deploy.md)`) : error);
    });
    child.on('close', (code) => resolve({ code: code ?? 1, out, err }));
  });
}
