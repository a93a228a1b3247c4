import pc from 'picocolors';

type Colors = ReturnType<typeof pc.createColors>;

/** Where `npm start` tells people what happens: whole lines, and on a terminal one more at the bottom that is overwritten. */
export class Terminal {
  /** True where somebody sits before it: only there are colours and the overwritten line. */
  readonly isLive: boolean;
  readonly colors: Colors;
  readonly #out: NodeJS.WriteStream;
  #hasStatus = false;

  /** @param onGone told when nobody reads it any more */
  constructor(
    out: NodeJS.WriteStream,
    environment: Readonly<Record<string, string | undefined>>,
    onGone: () => void = () => undefined,
  ) {
    this.#out = out;
    // isTTY is undefined for a pipe, and undefined would let the colours be chosen by CI's environment.
    this.isLive = out.isTTY ? environment.TERM !== 'dumb' : false;
    this.colors = pc.createColors(this.isLive && (environment.NO_COLOR ?? '') === '');
    out.on('error', onGone);
  }

  /** Prints a line, or several. */
  say(text: string): void {
    this.#out.write(`${this.#cleared()}${text}\n`);
  }

  /** Shows what is going on just now, until the next line or status; an empty text takes it away. Nothing where nobody sits. */
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

/** Text that came from elsewhere, without what a terminal would act upon. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}]+/gu, ' ');
}

/** `12.3 MB`: for people. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length);
  return `${(bytes / 1000 ** power).toFixed(1)} ${units[power - 1] ?? ''}`;
}
