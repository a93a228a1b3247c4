import type { Readable } from 'node:stream';
import type { ReadStream } from 'node:tty';

const [BACKSPACE, DELETE, END, INTERRUPT] = ['\b', '\x7f', '\x04', '\x03'];
/** Characters of a line; who sends more is not answering a question. */
const LONGEST_LINE = 64 * 1024;

function isTerminal(input: Readable): input is ReadStream {
  return 'isTTY' in input && input.isTTY === true;
}

/** Reads lines from standard input, one when it is asked for; what comes after it waits. */
export class LineReader {
  readonly #input: Readable;
  readonly #echo: (text: string) => void;
  readonly #interrupt: () => void;
  #waiting = '';
  #ended = false;

  /**
   * @param echo where a terminal's line is ended after what was typed unseen.
   * @param interrupt called for Ctrl-C typed into a hidden line, of which the terminal makes no signal then.
   */
  constructor(input: Readable, echo: (text: string) => void, interrupt: () => void) {
    this.#input = input;
    this.#echo = echo;
    this.#interrupt = interrupt;
  }

  /** @param hidden on a terminal, nothing of the line is shown. Rejects where it is interrupted, or the input breaks. */
  async read(hidden: boolean): Promise<string | undefined> {
    const input = this.#input;
    if (!hidden || !isTerminal(input)) return this.#line();
    // The terminal's own editing is off with its echo: what it would do is done here.
    input.setRawMode(true);
    try {
      let line = '';
      for (;;) {
        const typed = await this.#next();
        if (typed === undefined || typed === '\r' || typed === '\n' || typed === END) return line;
        if (typed === INTERRUPT) {
          this.#interrupt();
          throw new Error('interrupted');
        }
        if (typed === BACKSPACE || typed === DELETE) line = line.slice(0, -1);
        else if (line.length < LONGEST_LINE) line += typed;
      }
    } finally {
      input.setRawMode(false);
      this.#echo('\n');
    }
  }

  async #line(): Promise<string | undefined> {
    while (!this.#waiting.includes('\n') && !this.#ended && this.#waiting.length <= LONGEST_LINE) await this.#more();
    if (this.#waiting === '') return undefined;
    const [line = ''] = this.#waiting.split('\n', 1);
    this.#waiting = this.#waiting.slice(line.length + 1);
    return line.replace(/\r$/, '');
  }

  async #next(): Promise<string | undefined> {
    while (this.#waiting === '' && !this.#ended) await this.#more();
    const [char] = this.#waiting;
    this.#waiting = this.#waiting.slice(char?.length ?? 0);
    return char;
  }

  /** One piece of input. The stream rests in between, so that it doesn't keep the process from ending. */
  #more(): Promise<void> {
    const input = this.#input.setEncoding('utf8');
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        input.off('data', onData).off('end', onEnd).off('error', onError).pause();
      };
      const onData = (text: string): void => {
        this.#waiting += text;
        settle();
        resolve();
      };
      const onEnd = (): void => {
        this.#ended = true;
        settle();
        resolve();
      };
      const onError = (error: Error): void => {
        settle();
        reject(error);
      };
      if (input.errored) onError(input.errored);
      else if (input.readableEnded) onEnd();
      else input.on('data', onData).on('end', onEnd).on('error', onError).resume();
    });
  }
}
