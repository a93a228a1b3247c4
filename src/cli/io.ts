/** A terminal that can be drawn on. Its size may change. */
export interface Terminal {
  write(text: string): void;
  columns(): number;
  rows(): number;
}

/** What a command reads and writes: the input and output of the process, or of a test. */
export interface Io {
  /** Writes text or bytes unchanged, without adding a newline. */
  out(content: string | Uint8Array): void;
  err(text: string): void;
  /** Writes large output, at the speed of its reader. */
  outStream(chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** All of standard input. */
  readInput(): Promise<string>;
  /** All of standard input, in chunks. */
  openInput(): AsyncIterable<Uint8Array>;
  /** One line of standard input, without its end; undefined at the end of the input. `hidden`: a terminal does not show it. */
  readLine(options?: { hidden?: boolean }): Promise<string | undefined>;
  /** Standard error, if it is a terminal. */
  terminal?: Terminal;
  /** Columns of standard output, if it is a terminal that shows colours. */
  outColumns?: number;
  env: Readonly<Record<string, string | undefined>>;
  /** The folder in which the command was called. The app of an `npm start` in this folder is used. */
  folder?: string;
  /** Node's name of the processor architecture: `x64`, `arm64`. */
  architecture: string;
  signal: AbortSignal;
}
