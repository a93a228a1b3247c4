import type { Io, Terminal } from '../../src/cli/io.js';

export interface MemoryIoOptions {
  /** Standard input. */
  input?: string | Uint8Array;
  env?: Record<string, string | undefined>;
  architecture?: string;
  signal?: AbortSignal;
  /** Standard error is this terminal. */
  terminal?: Terminal;
}

/** Standard input and output in memory, with what was written to them. */
export function createMemoryIo(options: MemoryIoOptions = {}): {
  io: Io;
  out: () => Buffer;
  err: () => string;
} {
  const written: Uint8Array[] = [];
  let errors = '';
  let rest = Buffer.from(options.input ?? '').toString();
  const io: Io = {
    out: (content) => void written.push(Buffer.from(content)),
    err: (text) => {
      errors += text;
    },
    outStream: async (chunks) => {
      for await (const chunk of chunks) written.push(chunk);
    },
    readInput: () => Promise.resolve(rest),
    openInput: async function* () {
      yield Buffer.from(options.input ?? '');
    },
    readLine: () => {
      if (rest === '') return Promise.resolve(undefined);
      const [line = ''] = rest.split('\n', 1);
      rest = rest.slice(line.length + 1);
      return Promise.resolve(line.replace(/\r$/, ''));
    },
    ...(options.terminal && { terminal: options.terminal }),
    env: options.env ?? {},
    architecture: options.architecture ?? 'x64',
    signal: options.signal ?? new AbortController().signal,
  };
  return { io, out: () => Buffer.concat(written), err: () => errors };
}
