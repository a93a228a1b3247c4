import { Option, type Command } from 'commander';
import type { Descriptor } from '../../oci/index.js';
import type { Moving, UploadProgress } from '../../oras/index.js';
import type { Io } from '../io.js';
import { ProgressBars } from './progress-bars.js';
import { formatStatus } from './status-line.js';
import type { Values } from '../verb.js';

/** Shows the transfers of a command. */
export interface Transfers {
  /** A transfer starts, or continues under another word. @param word padded to its column */
  start(word: string, descriptor: Descriptor): void;
  move(descriptor: Descriptor, moreBytes: number): void;
  end(word: string, descriptor: Descriptor): void;
  /** Prints a line, unless progress bars are shown. */
  line(text: string): void;
  /** Prints a line on standard error, also if progress bars are shown. */
  warn(text: string): void;
}

interface TransferOptions {
  /** True to print lines if there are no bars. */
  lines: boolean;
  /** True if the content goes to standard output, which may be the same terminal: no bars then. Default: false. */
  toOutput?: boolean;
}

/** `--no-tty`; `--no-tty=false` draws bars even if content goes to standard output. */
export function addTtyOption(command: Command): void {
  command.addOption(new Option('--tty').hideHelp()).option('--no-tty', 'no progress bars and no colours on a terminal');
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

/** Shows the progress of an upload. */
export function tellUpload(transfers: Transfers, progress: UploadProgress | Moving): void {
  const { state, descriptor } = progress;
  if (state === 'moving') transfers.move(descriptor, progress.moreBytes);
  else if (state === 'uploading') transfers.start('Uploading', descriptor);
  else transfers.end(state === 'uploaded' ? 'Uploaded ' : 'Exists   ', descriptor);
}

/**
 * Runs transfers with progress bars if standard error is a terminal, and otherwise with a line on standard output
 * for each node. Bars go to standard error only, so that standard output is the same for scripts.
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
