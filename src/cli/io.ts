/** A terminal that can be drawn on. Its size may change. */
export interface Terminal {
  write(text: string): void;
  columns(): number;
  rows(): number;
}

/** What a command reads and writes: the process's own, or a test's. */
export interface Io {
  /** Text or bytes, as they are: no newline is added. */
  out(content: string | Uint8Array): void;
  err(text: string): void;
  /** Large output, at the speed of its reader. */
  outStream(chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** All of standard input. */
  readInput(): Promise<string>;
  /** All of standard input, in chunks. */
  openInput(): AsyncIterable<Uint8Array>;
  /** One line of standard input, without its end; undefined at the end of the input. `hidden`: a terminal does not show it. */
  readLine(options?: { hidden?: boolean }): Promise<string | undefined>;
  /** Standard error, if it is a terminal. */
  terminal?: Terminal;
  /** Standard output is a terminal that shows colours. */
  outIsTerminal?: boolean;
  env: Readonly<Record<string, string | undefined>>;
  /** The folder that the command was called in: the app that `npm start` runs there is used. */
  folder?: string;
  /** Node's name of it: `x64`, `arm64`. */
  architecture: string;
  signal: AbortSignal;
}
