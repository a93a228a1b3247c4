/** Lets a sender be a few pieces ahead of those that are used. */
export class Allowance {
  isClosed = false;
  #allowed: number;
  #goOn: () => void = () => {};

  constructor(ahead: number) {
    this.#allowed = ahead;
  }

  /** A piece was used. */
  pull(): void {
    this.#allowed += 1;
    this.#goOn();
  }

  /** Nothing more may be sent. */
  close(): void {
    this.isClosed = true;
    this.#goOn();
  }

  /** Resolves when one more piece may be sent, or when the blob is closed. */
  async take(): Promise<void> {
    while (this.#allowed === 0 && !this.isClosed) await new Promise<void>((resolve) => (this.#goOn = resolve));
    this.#allowed -= 1;
  }
}
