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
  /** Large output, no faster than it is taken. */
  outStream(chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** All of standard input. */
  readInput(): Promise<string>;
  /** All of standard input, piece by piece. */
  openInput(): AsyncIterable<Uint8Array>;
  /** One line of standard input, without its end; undefined where there is none left. On a terminal, `hidden` shows nothing of it. */
  readLine(options?: { hidden?: boolean }): Promise<string | undefined>;
  /** Where standard error is a terminal that somebody sits before. */
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
