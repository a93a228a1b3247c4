import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findPeer } from '../support/peers.js';
import type { Command } from './measure.js';
import type { Certificate } from './servers.js';

export type ClientName = 'acr-promoter' | 'oras' | 'regctl';

const OURS = [join(import.meta.dirname, '..', '..', 'bin', 'acr-promoter.mjs'), 'copy', '-r'];
const OVER_TLS = ['--no-from-plain-http', '--no-to-plain-http'];

/** A client's command line for a copy with referrers. */
export type CopyCommand = (from: string, to: string) => Command;

/** The clients that are here: ours, and those peers that are installed. */
export async function copyCommands(
  folder: string,
  certificate: Certificate,
  hosts: readonly string[],
): Promise<Map<ClientName, CopyCommand>> {
  const { certFile, pem } = certificate;
  const home = join(folder, 'home');
  await mkdir(home, { recursive: true });
  const regctlConfig = join(folder, 'regctl.json');
  const tls = { tls: 'enabled', regcert: pem };
  await writeFile(regctlConfig, JSON.stringify({ hosts: Object.fromEntries(hosts.map((host) => [host, tls])) }));
  const env = { HOME: home, DOCKER_CONFIG: home, REGCTL_CONFIG: regctlConfig };
  const commands = new Map<ClientName, CopyCommand>([
    [
      'acr-promoter',
      (from, to) => ({
        program: process.execPath,
        args: [...OURS, from, to, '--from-ca-file', certFile, '--to-ca-file', certFile, ...OVER_TLS],
        env,
      }),
    ],
  ]);
  const oras = findPeer('oras');
  if (oras !== undefined) {
    const options = ['--from-ca-file', certFile, '--to-ca-file', certFile];
    const plain = ['--from-plain-http=false', '--to-plain-http=false', '--no-tty'];
    commands.set('oras', (from, to) => ({ program: oras, args: ['cp', '-r', from, to, ...options, ...plain], env }));
  }
  const regctl = findPeer('regctl');
  if (regctl !== undefined) {
    commands.set('regctl', (from, to) => ({
      program: regctl,
      args: ['image', 'copy', '--referrers', '--digest-tags', from, to],
      env,
    }));
  }
  return commands;
}
