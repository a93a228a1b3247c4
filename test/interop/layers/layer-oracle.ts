import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import { must } from '../../support/stack/programs.js';

/** What Go and containerd unpack, by ./oracle/main.go. Names and targets are base64. */
export interface Unpacked {
  layers: {
    entries: { name: string; type: string; link: string; size: number; crc32: number }[];
    /** Set if archive/tar refuses the layer after these entries. */
    error?: string;
  }[];
  native: FileSystem;
  overlay: FileSystem;
}

export interface FileSystem {
  /** For each path: `folder`, `file SIZE CHECKSUM`, `link TARGET` or `other`. */
  files: Record<string, string>;
  error?: string;
}

export interface LayerOracle {
  unpack(layers: readonly Uint8Array[]): Promise<Unpacked>;
  stop(): Promise<void>;
}

/** Builds the oracle into `folder`, with containerd from Go's module proxy, and starts it. It unpacks below `folder`. */
export async function startLayerOracle(go: string, folder: string): Promise<LayerOracle> {
  const program = resolve(folder, 'oracle');
  await must(go, ['-C', 'test/interop/layers/oracle', 'build', '-o', program, '.'], {
    GOTOOLCHAIN: 'local',
    GOFLAGS: '-mod=readonly',
    GOWORK: 'off',
    GO111MODULE: 'on',
    CGO_ENABLED: '0',
  });
  const child = spawn(program, [folder], { stdio: ['pipe', 'pipe', 'inherit'], env: { GODEBUG: '' } });
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  return {
    unpack: (layers) =>
      new Promise((done, fail) => {
        if (child.stdin.writableEnded) fail(new Error('the oracle was stopped'));
        waiting.push((line) => done(JSON.parse(line) as Unpacked));
        child.stdin.write(`${layers.map((layer) => Buffer.from(layer).toString('base64')).join(',')}\n`);
      }),
    stop: async () => {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}
