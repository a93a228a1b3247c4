import { failed, isList, isMap, type Value } from './values.js';

/**
 * The most characters of the output and of any value. Otherwise a template could fill the memory (`{{$x = list $x $x}}`) or run for ever
 * (`{{range 1000000000}}`).
 */
const MOST_CHARACTERS = 64 * 1024 * 1024;
/** The most steps of ranges plus characters that functions read or write. */
const MOST_WORK = 50_000_000;
/** The cost of one step of a range. */
const STEP = 20;

/** Functions that read a list or map without its entries. */
const CHEAP = new Set(
  'len index first last get hasKey not empty default coalesce ternary list dict eq ne and or int'.split(' '),
);

/** Bounds the work of one evaluation. */
export class Budget {
  readonly #sizes = new WeakMap<object, number>();
  #characters = 0;
  #work = 0;

  step(): void {
    this.#spend(STEP);
  }

  /** Counts the arguments, before a function is called. */
  before(name: string, args: readonly Value[]): void {
    if (CHEAP.has(name)) return this.#spend(1);
    let size = 1;
    for (const arg of args) size += this.#sizeOf(arg);
    this.#spend(size);
  }

  /** Counts the result, after the call. */
  after(value: Value): Value {
    const size = this.#sizeOf(value);
    if (size > MOST_CHARACTERS) throw failed(`a value is longer than ${MOST_CHARACTERS} characters`);
    if (typeof value === 'string') this.#spend(size);
    return value;
  }

  output(text: string): void {
    this.#characters += text.length;
    if (this.#characters > MOST_CHARACTERS) throw failed(`the output is longer than ${MOST_CHARACTERS} characters`);
  }

  #spend(work: number): void {
    this.#work += work;
    if (this.#work > MOST_WORK) throw failed('it takes too long');
  }

  /** The approximate number of characters. A shared value counts as often as it would be printed. Each list and map is visited once. */
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
