import { Option, type Command } from 'commander';
import type { Descriptor } from '../../oci/index.js';
import type { Moving, UploadProgress } from '../../oras/index.js';
import type { Io } from '../io.js';
import { ProgressBars } from './progress-bars.js';
import { formatStatus } from './status-line.js';
import type { Values } from '../verb.js';

/** Receives what a command moves, while it moves. */
export interface Transfers {
  /** A node begins to move, or goes on under another word. @param word padded to its column */
  start(word: string, descriptor: Descriptor): void;
  move(descriptor: Descriptor, moreBytes: number): void;
  end(word: string, descriptor: Descriptor): void;
  /** A plain line, which bars have no need of. */
  line(text: string): void;
  /** A line that is always seen, on standard error. */
  warn(text: string): void;
}

interface TransferOptions {
  /** Whether there are lines where there are no bars. */
  lines: boolean;
  /** Whether what is moved goes to standard output, which may be the same terminal: then there are no bars. Default: false. */
  toOutput?: boolean;
}

/** `--no-tty`, and `--no-tty=false`, which wants bars whatever goes to standard output. */
export function addTtyOption(command: Command): void {
  command
    .addOption(new Option('--tty').hideHelp())
    .option('--no-tty', 'lines, and no progress bars, on a terminal too');
}

function plain(io: Io, { lines }: TransferOptions): Transfers {
  const line = (text: string): void => {
    if (lines) io.out(text);
  };
  const status = (word: string, descriptor: Descriptor): void => line(formatStatus(word, descriptor));
  return { start: status, move: () => undefined, end: status, line, warn: (text) => io.err(text) };
}

function onBars(bars: ProgressBars): Transfers {
  return {
    start: (word, descriptor) => bars.start(word.trim(), descriptor),
    move: (descriptor, moreBytes) => bars.move(descriptor, moreBytes),
    end: (word, descriptor) => bars.end(word.trim(), descriptor),
    line: () => undefined,
    warn: (text) => bars.say(text.replace(/\n$/, '')),
  };
}

/** What an upload tells, as a line or a bar. */
export function tellUpload(transfers: Transfers, progress: UploadProgress | Moving): void {
  const { state, descriptor } = progress;
  if (state === 'moving') transfers.move(descriptor, progress.moreBytes);
  else if (state === 'uploading') transfers.start('Uploading', descriptor);
  else transfers.end(state === 'uploaded' ? 'Uploaded ' : 'Exists   ', descriptor);
}

/**
 * Does what moves something: with progress bars where standard error is a terminal, and otherwise with a line on standard output
 * for each node. Bars go to standard error alone, so that scripts read the same either way.
 */
export async function withTransfers<T>(
  io: Io,
  values: Values,
  options: TransferOptions,
  work: (transfers: Transfers) => Promise<T>,
): Promise<T> {
  const { terminal } = io;
  const isWanted = values.tty !== false && values.debug !== true && (options.toOutput !== true || values.tty === true);
  if (terminal === undefined || !isWanted) return work(plain(io, options));
  const bars = new ProgressBars(terminal, { colors: (io.env.NO_COLOR ?? '') === '' });
  try {
    return await work(onBars(bars));
  } finally {
    bars.close();
  }
}
