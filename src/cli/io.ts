/** What a command reads and writes: the process's own, or a test's. */
export interface Io {
  /** Text or bytes, as they are: no newline is added. */
  out(content: string | Uint8Array): void;
  err(text: string): void;
  /** All of standard input. */
  readInput(): Promise<string>;
  env: Readonly<Record<string, string | undefined>>;
  /** Node's name of it: `x64`, `arm64`. */
  architecture: string;
  signal: AbortSignal;
}
