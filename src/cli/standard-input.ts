import type { Readable } from 'node:stream';
import type { ReadStream } from 'node:tty';

const [BACKSPACE, DELETE, END, INTERRUPT] = ['\b', '\x7f', '\x04', '\x03'];
/** Maximum characters of a line. */
const LONGEST_LINE = 64 * 1024;

function isTerminal(input: Readable): input is ReadStream {
  return 'isTTY' in input && input.isTTY === true;
}

/** Reads one line from standard input at a time. The rest stays for the next call. */
export class LineReader {
  readonly #input: Readable;
  readonly #echo: (text: string) => void;
  readonly #interrupt: () => void;
  readonly #chunks: AsyncIterator<string>;
  #waiting = '';
  #ended = false;

  /**
   * @param echo ends the terminal's line after hidden input
   * @param interrupt called for Ctrl-C in a hidden line: the terminal sends no signal then
   */
  constructor(input: Readable, echo: (text: string) => void, interrupt: () => void) {
    this.#input = input;
    this.#echo = echo;
    this.#interrupt = interrupt;
    this.#chunks = input.setEncoding('utf8')[Symbol.asyncIterator]();
  }

  /** @param hidden a terminal does not show the line. Rejects if it is interrupted, or if the input fails. */
  async read(hidden: boolean): Promise<string | undefined> {
    const input = this.#input;
    if (!hidden || !isTerminal(input)) return this.#line();
    // A terminal without echo does no line editing, so it is done here.
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

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done === true) this.#ended = true;
    else this.#waiting += value;
  }
}
