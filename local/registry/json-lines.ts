import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** The most bytes of a log file before it is rotated. One older file is kept. */
export const LOG_BYTES = 64 * 1024 * 1024;

/**
 * A log with one JSON object per line. Each line is written to the operating system before `append` returns, so a kill
 * -9 loses none. A file of more than `maxBytes` is renamed to `<path>.1`.
 */
export class JsonLinesFile {
  readonly path: string;
  readonly #maxBytes: number;
  #file: number;
  #bytes: number;
  #closed = false;

  constructor(path: string, maxBytes: number) {
    this.path = path;
    this.#maxBytes = maxBytes;
    this.#file = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#file).size;
  }

  /** Does nothing after the file was closed. */
  append(entry: unknown): void {
    if (this.#closed) return;
    const line = `${JSON.stringify(entry)}\n`;
    if (this.#bytes + line.length > this.#maxBytes && this.#bytes > 0) this.#turnOver();
    writeSync(this.#file, line);
    this.#bytes += Buffer.byteLength(line);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#file);
  }

  #turnOver(): void {
    closeSync(this.#file);
    renameSync(this.path, `${this.path}.1`);
    this.#file = openSync(this.path, 'a', 0o600);
    this.#bytes = 0;
  }
}
