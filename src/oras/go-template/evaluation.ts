import { failed, isList, isMap, type Value } from './values.js';

/**
 * The most characters that an evaluation makes, with a share for each step of a range. Otherwise a template could fill the
 * memory (`{{$x = list $x $x}}`) or run for ever (`{{range 1000000000}}`).
 */
const MOST_CHARACTERS = 64 * 1024 * 1024;
/** One step of a range counts as this many characters. */
const STEP_CHARACTERS = 20;

/** The variables and the output of one evaluation. */
export class Evaluation {
  /** By the number that the parser gave to each; the first is `$`. */
  readonly variables: Value[];
  readonly #output: string[] = [];
  readonly #sizes = new WeakMap<object, number>();
  #characters = 0;

  constructor(data: Value) {
    this.variables = [data];
  }

  get output(): string {
    return this.#output.join('');
  }

  write(text: string): void {
    this.#spend(text.length);
    this.#output.push(text);
  }

  /** Counts a step of a range. */
  step(): void {
    this.#spend(STEP_CHARACTERS);
  }

  /** Counts a value that a function has made. */
  made(value: Value): Value {
    this.#spend(this.#sizeOf(value));
    return value;
  }

  #spend(characters: number): void {
    this.#characters += characters;
    if (this.#characters > MOST_CHARACTERS) throw failed(`it makes more than ${MOST_CHARACTERS} characters`);
  }

  /** The approximate number of characters. A shared value counts as often as it would be printed, and is visited once. */
  #sizeOf(value: Value): number {
    if (typeof value === 'string') return value.length;
    if (!isList(value) && !isMap(value)) return 1;
    const known = this.#sizes.get(value);
    if (known !== undefined) return known;
    let size = 1;
    if (isList(value)) for (const entry of value) size += this.#sizeOf(entry);
    else for (const [key, entry] of Object.entries(value)) size += key.length + this.#sizeOf(entry);
    this.#sizes.set(value, size);
    return size;
  }
}
