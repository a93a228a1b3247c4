import type { Evaluation } from './evaluation.js';
import { formatValue } from './format.js';
import { callFunction, isFunction } from './functions.js';
import { cutTemplate, invalid, parseNumber, unquote, type Piece, type Token } from './lexer.js';
import { entryOf, failed, isList, isMap, isTruthy, keysOf, typeOf, type Value } from './values.js';

/** What a term, command or pipe computes. @param dot the current value, `.` */
type Expression = (dot: Value, run: Evaluation) => Value;
/** What a text, action or block does. */
export type Statement = (dot: Value, run: Evaluation) => 'break' | 'continue' | undefined;

/** A part of a command. A function has its name, and is called without arguments if it is an argument itself. */
interface Term {
  kind: 'literal' | 'nil' | 'function' | 'other';
  name: string;
  value: Expression;
}

interface Pipe {
  value: Expression;
  /** The numbers of the variables that are declared or set: one, or two in a range. */
  variables: number[];
}

/** The most levels of parentheses and of blocks. */
const MOST_LEVELS = 64;
const UNSUPPORTED = new Set(['define', 'template', 'block']);

/** Reads the tokens of one action one by one. */
class ActionReader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get next(): Token | undefined {
    return this.#tokens[this.#at];
  }

  get afterNext(): Token | undefined {
    return this.#tokens[this.#at + 1];
  }

  take(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw invalid('the action ends too early');
    this.#at += 1;
    return token;
  }

  takeIf(kind: 'mark' | 'name', text: string): boolean {
    if (this.next?.kind !== kind || this.next.text !== text) return false;
    this.#at += 1;
    return true;
  }
}

function endsCommand(token: Token | undefined): boolean {
  return token === undefined || (token.kind === 'mark' && (token.text === '|' || token.text === ')'));
}

function fieldOf(value: Value, name: string): Value {
  if (value === undefined) return undefined;
  if (isMap(value)) return entryOf(value, name);
  throw failed(`can't evaluate field ${name} in type ${typeOf(value)}`);
}

function literal(value: Value): Term {
  return { kind: 'literal', name: '', value: () => value };
}

/** A value, with the fields that are written behind it: `(first .referrers).digest`. */
function withFields(reader: ActionReader, value: Expression, ...fields: string[]): Term {
  while (reader.next?.kind === 'field' && !reader.next.isApart) fields.push(reader.take().text.slice(1));
  return { kind: 'other', name: '', value: (dot, run) => fields.reduce(fieldOf, value(dot, run)) };
}

function callOf(name: string, args: readonly Expression[], piped?: Expression): Expression {
  const all = piped === undefined ? args : [...args, piped];
  if (name !== 'and' && name !== 'or') {
    return (dot, run) =>
      run.made(
        callFunction(
          name,
          all.map((arg) => arg(dot, run)),
        ),
      );
  }
  const stopsAt = name === 'or';
  return (dot, run) => {
    if (all.length === 0) throw failed(`wrong number of args for ${name}: want at least 1 got 0`);
    let value: Value;
    for (const arg of all) {
      value = arg(dot, run);
      if (isTruthy(value) === stopsAt) return value;
    }
    return value;
  };
}

/** A command of a pipe: a function with its arguments, or one value. */
function commandOf([first, ...rest]: readonly Term[], piped?: Expression): Expression {
  if (first === undefined) throw invalid('missing value for command');
  if (first.kind === 'nil') throw invalid('nil is not a command');
  if (piped !== undefined && first.kind === 'literal') throw invalid('non executable command in pipeline');
  const args = rest.map(({ value }) => value);
  if (first.kind === 'function') return callOf(first.name, args, piped);
  if (args.length === 0 && piped === undefined) return first.value;
  return () => {
    throw failed("can't give argument to non-function");
  };
}

function* entriesOf(value: Value): Generator<[Value, Value]> {
  if (value === undefined) return;
  if (typeof value === 'bigint') {
    for (let index = 0n; index < value; index += 1n) yield [index, index];
  } else if (isList(value)) {
    for (const [index, item] of value.entries()) yield [BigInt(index), item];
  } else if (isMap(value)) {
    for (const key of keysOf(value)) yield [key, value[key]];
  } else throw failed(`range can't iterate over ${formatValue(value).slice(0, 100)}`);
}

function rangeOf({ value, variables }: Pipe, body: Statement, otherwise: Statement): Statement {
  return (dot, run) => {
    let isEmpty = true;
    for (const [key, item] of entriesOf(value(dot, run))) {
      isEmpty = false;
      run.step();
      const values = variables.length === 1 ? [item] : [key, item];
      for (const [index, variable] of variables.entries()) run.variables[variable] = values[index];
      if (body(item, run) === 'break') break;
    }
    return isEmpty ? otherwise(dot, run) : undefined;
  };
}

function actionOf({ value, variables }: Pipe): Statement {
  return (dot, run) => {
    const result = value(dot, run);
    if (variables.length === 0) run.write(formatValue(result, '<no value>'));
    return undefined;
  };
}

function sequenceOf(statements: readonly Statement[]): Statement {
  return (dot, run) => {
    for (const statement of statements) {
      const signal = statement(dot, run);
      if (signal !== undefined) return signal;
    }
    return undefined;
  };
}

type Ending = 'end' | 'else' | 'nothing';

class TemplateParser {
  readonly #pieces: readonly Piece[];
  /** The visible variables. The index of each is its number. */
  readonly #names = ['$'];
  #at = 0;
  #ranges = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** @returns the statements as one, the token that ended them, and the reader of what follows `else` */
  body(level: number): { body: Statement; ending: Ending; rest: ActionReader } {
    if (level > MOST_LEVELS) throw invalid(`more than ${MOST_LEVELS} blocks in one another`);
    const visible = this.#names.length;
    const statements: Statement[] = [];
    const end = (ending: Ending, rest: ActionReader): ReturnType<TemplateParser['body']> => {
      this.#names.length = visible;
      return { body: sequenceOf(statements), ending, rest };
    };
    for (let piece = this.#pieces[this.#at]; piece !== undefined; piece = this.#pieces[this.#at]) {
      this.#at += 1;
      if (piece.kind === 'text') {
        const { text } = piece;
        statements.push((_dot, run) => {
          run.write(text);
          return undefined;
        });
        continue;
      }
      const reader = new ActionReader(piece.tokens);
      if (reader.takeIf('name', 'end')) return end('end', reader);
      if (reader.takeIf('name', 'else')) return end('else', reader);
      statements.push(this.#action(reader, level));
    }
    return end('nothing', new ActionReader([]));
  }

  #action(reader: ActionReader, level: number): Statement {
    const word = reader.next?.kind === 'name' ? reader.next.text : '';
    if (UNSUPPORTED.has(word)) throw invalid(`{{${word}}} is not supported`);
    if (word === 'if' || word === 'with' || word === 'range') {
      reader.take();
      return this.#block(word, reader, level);
    }
    if (word === 'break' || word === 'continue') {
      if (this.#ranges === 0) throw invalid(`{{${word}}} outside {{range}}`);
      return () => word;
    }
    return actionOf(this.#pipe(reader));
  }

  #block(kind: 'if' | 'with' | 'range', reader: ActionReader, level: number): Statement {
    if (reader.next === undefined) throw invalid(`missing value for ${kind}`);
    const visible = this.#names.length;
    const pipe = this.#pipe(reader, 0, kind === 'range');
    if (kind === 'range') this.#ranges += 1;
    const { body, ending, rest } = this.body(level + 1);
    if (kind === 'range') this.#ranges -= 1;
    if (ending === 'nothing') throw invalid('unexpected EOF');
    const otherwise = ending === 'else' ? this.#otherwise(kind, rest, level) : () => undefined;
    this.#names.length = visible;
    if (kind === 'range') return rangeOf(pipe, body, otherwise);
    return (dot, run) => {
      const value = pipe.value(dot, run);
      return isTruthy(value) ? body(kind === 'with' ? value : dot, run) : otherwise(dot, run);
    };
  }

  #otherwise(kind: 'if' | 'with' | 'range', rest: ActionReader, level: number): Statement {
    // `{{else if}}` is a block in the else part, and shares its end.
    if (kind !== 'range' && rest.takeIf('name', kind)) return this.#block(kind, rest, level + 1);
    if (rest.next !== undefined) throw invalid('unexpected words after else');
    const { body, ending } = this.body(level + 1);
    if (ending === 'end') return body;
    throw invalid(ending === 'else' ? 'expected end; found {{else}}' : 'unexpected EOF');
  }

  #pipe(reader: ActionReader, level = 0, isRange = false): Pipe {
    const names: string[] = [];
    let declares = false;
    const mark = reader.afterNext?.text ?? '';
    if (reader.next?.kind === 'variable' && (mark === ':=' || mark === '=' || (isRange && mark === ','))) {
      names.push(reader.take().text);
      if (reader.takeIf('mark', ',')) {
        if (reader.next?.kind !== 'variable') throw invalid('range can only initialize variables');
        names.push(reader.take().text);
      }
      declares = reader.takeIf('mark', ':=');
      if (!declares && !reader.takeIf('mark', '=')) throw invalid('missing := in range');
    }
    const value = this.#commands(reader, level);
    const variables = names.map((name) => (declares ? this.#names.push(name) - 1 : this.#variable(name)));
    const [variable] = variables;
    if (isRange || variable === undefined) return { value, variables };
    return { value: (dot, run) => (run.variables[variable] = value(dot, run)), variables };
  }

  #variable(name: string): number {
    const found = this.#names.lastIndexOf(name);
    if (found < 0) throw invalid(`undefined variable "${name}"`);
    return found;
  }

  /** Reads to the end of the action, or to the closing parenthesis. */
  #commands(reader: ActionReader, level: number): Expression {
    if (level > MOST_LEVELS) throw invalid(`more than ${MOST_LEVELS} parentheses in one another`);
    let value: Expression | undefined;
    do {
      const terms: Term[] = [];
      while (!endsCommand(reader.next)) {
        terms.push(this.#term(reader, level));
        const { next } = reader;
        if (next?.isApart === false && !endsCommand(next)) {
          throw invalid(`unexpected ${JSON.stringify(next.text)} after a term`);
        }
      }
      value = commandOf(terms, value);
    } while (reader.takeIf('mark', '|'));
    if (level > 0 && !reader.takeIf('mark', ')')) throw invalid('unclosed left parenthesis');
    if (level === 0 && reader.next !== undefined) throw invalid('unexpected right parenthesis');
    return value;
  }

  #term(reader: ActionReader, level: number): Term {
    const { kind, text } = reader.take();
    switch (kind) {
      case 'string':
        return literal(unquote(text));
      case 'char':
        return literal(BigInt(unquote(text).codePointAt(0) ?? 0));
      case 'number':
        return literal(parseNumber(text));
      case 'field':
        return withFields(reader, (dot) => dot, text.slice(1));
      case 'variable': {
        const variable = this.#variable(text);
        return withFields(reader, (_dot, run) => run.variables[variable]);
      }
      case 'name':
        if (text === 'true' || text === 'false') return literal(text === 'true');
        if (text === 'nil') return { kind: 'nil', name: text, value: () => undefined };
        if (!isFunction(text)) throw invalid(`function "${text}" not defined`);
        return { kind: 'function', name: text, value: callOf(text, []) };
      case 'mark':
        if (text === '.') return { kind: 'other', name: '', value: (dot) => dot };
        if (text !== '(') throw invalid(`unexpected ${JSON.stringify(text)}`);
        return withFields(reader, this.#pipe(reader, level + 1).value);
    }
  }
}

/** @throws InputError `TEMPLATE_INVALID` */
export function parseTemplate(source: string): Statement {
  const { body, ending } = new TemplateParser(cutTemplate(source)).body(0);
  if (ending !== 'nothing') throw invalid(`unexpected {{${ending}}}`);
  return body;
}
