import pc from 'picocolors';

type Colors = ReturnType<typeof pc.createColors>;

/** Prints what happens: whole lines and, on a terminal, one status line at the bottom that is overwritten. */
export class Terminal {
  /** True on a terminal. Only there are colours and the status line. */
  readonly isLive: boolean;
  readonly colors: Colors;
  readonly #out: NodeJS.WriteStream;
  #hasStatus = false;

  /** @param onGone called when the reader has gone */
  constructor(
    out: NodeJS.WriteStream,
    environment: Readonly<Record<string, string | undefined>>,
    onGone: () => void = () => undefined,
  ) {
    this.#out = out;
    // For a pipe isTTY is undefined, and then the environment of a CI would select colours.
    this.isLive = out.isTTY ? environment.TERM !== 'dumb' : false;
    this.colors = pc.createColors(this.isLive && (environment.NO_COLOR ?? '') === '');
    out.on('error', onGone);
  }

  /** Prints one or more lines. */
  say(text: string): void {
    this.#out.write(`${this.#cleared()}${text}\n`);
  }

  /** Shows a status until the next line or status; an empty text removes it. Does nothing if there is no terminal. */
  status(text: string): void {
    if (!this.isLive) return;
    const cleared = this.#cleared();
    this.#hasStatus = text !== '';
    this.#out.write(`${cleared}${text.slice(0, Math.max(20, (this.#out.columns || 80) - 1))}`);
  }

  #cleared(): string {
    if (!this.#hasStatus) return '';
    this.#hasStatus = false;
    return '\r\u001b[K';
  }
}

/** Removes control characters from a text that came from elsewhere. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ');
}

/** Formats a size for people, for example `12.3 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length);
  return `${(bytes / 1000 ** power).toFixed(1)} ${units[power - 1] ?? ''}`;
}
