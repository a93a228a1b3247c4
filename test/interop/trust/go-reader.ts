import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Descriptor } from '../../../src/oci/index.js';
import { must } from '../../support/stack/programs.js';

/** What Go reads, by ./oracle/main.go. */
export interface GoReading {
  /** Absent if encoding/json refuses it. */
  manifest?: {
    mediaType?: string;
    artifactType?: string;
    config?: Descriptor;
    layers?: Descriptor[];
    manifests?: Descriptor[];
    subject?: Descriptor;
  };
  /** Layers that the text lists as a config, by the two ways of reading; -1 if it is refused. */
  unmarshalled: number;
  decoded: number;
}

export interface GoReader {
  read(text: Uint8Array): Promise<GoReading>;
  stop(): Promise<void>;
}

/** Builds the oracle into `folder` and starts it. */
export async function startGoReader(go: string, folder: string): Promise<GoReader> {
  const program = `${folder}/oracle`;
  await must(go, ['build', '-o', program, 'test/interop/trust/oracle/main.go'], {
    GOPROXY: 'off',
    GOTOOLCHAIN: 'local',
    GO111MODULE: 'off',
    CGO_ENABLED: '0',
  });
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  return {
    read: (text) =>
      new Promise((resolve) => {
        waiting.push((line) => resolve(JSON.parse(line) as GoReading));
        child.stdin.write(`${Buffer.from(text).toString('base64')}\n`);
      }),
    stop: async () => {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}
