import { cutTemplate, invalid, parseNumber, unquote, type Piece, type Token } from './lexer.js';
import type { Value } from './values.js';

/** A part of a command, with the fields behind it: `(first .referrers).digest`. */
export type Term =
  | { kind: 'dot'; fields: string[] }
  | { kind: 'variable'; name: string; fields: string[] }
  | { kind: 'pipe'; pipe: Pipe; fields: string[] }
  | { kind: 'literal'; value: Value }
  | { kind: 'nil' }
  | { kind: 'function'; name: string };

export interface Pipe {
  /** Variables that are declared or set: one, or two in a range. */
  variables: string[];
  declares: boolean;
  commands: Term[][];
}

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipe }
  | { kind: 'if' | 'with' | 'range'; pipe: Pipe; body: Node[]; otherwise: Node[] }
  | { kind: 'break' | 'continue' };

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

  skipSpace(): void {
    while (this.#tokens[this.#at]?.kind === 'space') this.#at += 1;
  }

  /** The next token, white space included. */
  get next(): Token | undefined {
    return this.#tokens[this.#at];
  }

  /** The token after the next, white space left out. */
  get nextMark(): string | undefined {
    const after = this.#tokens[this.#at + 1];
    return after?.kind === 'space' ? this.#tokens[this.#at + 2]?.text : after?.text;
  }

  take(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw invalid('the action ends too early');
    this.#at += 1;
    return token;
  }

  takeMark(mark: string): boolean {
    if (this.next?.kind !== 'mark' || this.next.text !== mark) return false;
    this.#at += 1;
    return true;
  }

  takeName(name: string): boolean {
    if (this.next?.kind !== 'name' || this.next.text !== name) return false;
    this.#at += 1;
    this.skipSpace();
    return true;
  }
}

function readFields(reader: ActionReader): string[] {
  const fields: string[] = [];
  while (reader.next?.kind === 'field') fields.push(reader.take().text.slice(1));
  return fields;
}

function readTerm(reader: ActionReader, level: number): Term {
  const token = reader.take();
  const { kind, text } = token;
  switch (kind) {
    case 'string':
      return { kind: 'literal', value: unquote(text) };
    case 'char': {
      const code = unquote(text).codePointAt(0);
      return { kind: 'literal', value: BigInt(code ?? 0) };
    }
    case 'number':
      return { kind: 'literal', value: parseNumber(text) };
    case 'field':
      return { kind: 'dot', fields: [text.slice(1), ...readFields(reader)] };
    case 'variable':
      return { kind: 'variable', name: text, fields: readFields(reader) };
    case 'name':
      if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
      return text === 'nil' ? { kind: 'nil' } : { kind: 'function', name: text };
    case 'mark':
    case 'space':
      if (text === '.') return { kind: 'dot', fields: [] };
      if (text !== '(') throw invalid(`unexpected ${JSON.stringify(text)}`);
      return { kind: 'pipe', pipe: readPipe(reader, level + 1), fields: readFields(reader) };
  }
}

/** Reads to the end of the action, or to the closing parenthesis. */
function readCommands(reader: ActionReader, level: number): Term[][] {
  if (level > MOST_LEVELS) throw invalid(`more than ${MOST_LEVELS} parentheses in one another`);
  const commands: Term[][] = [];
  for (;;) {
    const command: Term[] = [];
    for (;;) {
      reader.skipSpace();
      const { next } = reader;
      if (next === undefined || (next.kind === 'mark' && (next.text === '|' || next.text === ')'))) break;
      command.push(readTerm(reader, level));
      const after = reader.next;
      if (after !== undefined && after.kind !== 'space' && !(after.kind === 'mark' && /^[|)]$/.test(after.text)))
        throw invalid(`unexpected ${JSON.stringify(after.text)} after a term`);
    }
    const [first] = command;
    if (first === undefined) throw invalid('missing value for command');
    if (first.kind === 'nil') throw invalid('nil is not a command');
    if (commands.length > 0 && first.kind === 'literal') throw invalid('non executable command in pipeline');
    commands.push(command);
    if (reader.takeMark('|')) continue;
    if (level > 0 && !reader.takeMark(')')) throw invalid('unclosed left parenthesis');
    if (level === 0 && reader.next !== undefined) throw invalid('unexpected right parenthesis');
    return commands;
  }
}

function readPipe(reader: ActionReader, level = 0, isRange = false): Pipe {
  reader.skipSpace();
  const variables: string[] = [];
  let declares = false;
  if (reader.next?.kind === 'variable') {
    const mark = reader.nextMark ?? '';
    if (mark === ':=' || mark === '=' || (isRange && mark === ',')) {
      variables.push(reader.take().text);
      reader.skipSpace();
      if (reader.takeMark(',')) {
        reader.skipSpace();
        if (reader.next?.kind !== 'variable') throw invalid('range can only initialize variables');
        variables.push(reader.take().text);
        reader.skipSpace();
      }
      declares = reader.takeMark(':=');
      if (!declares && !reader.takeMark('=')) throw invalid('missing := in range');
    }
  }
  return { variables, declares, commands: readCommands(reader, level) };
}

type Ending = 'end' | 'else' | 'nothing';

class TemplateParser {
  readonly #pieces: readonly Piece[];
  #at = 0;
  #ranges = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** @returns the nodes, and the token that ended them: for `else`, with the reader of the rest. */
  nodes(level: number): { nodes: Node[]; ending: Ending; rest?: ActionReader } {
    if (level > MOST_LEVELS) throw invalid(`more than ${MOST_LEVELS} blocks in one another`);
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#at]; piece !== undefined; piece = this.#pieces[this.#at]) {
      this.#at += 1;
      if (piece.kind === 'text') {
        nodes.push(piece);
        continue;
      }
      const reader = new ActionReader(piece.tokens);
      reader.skipSpace();
      const word = reader.next?.kind === 'name' ? reader.next.text : '';
      if (word === 'end' || word === 'else') {
        reader.takeName(word);
        return { nodes, ending: word, rest: reader };
      }
      nodes.push(this.#action(word, reader, level));
    }
    return { nodes, ending: 'nothing' };
  }

  #action(word: string, reader: ActionReader, level: number): Node {
    if (UNSUPPORTED.has(word)) throw invalid(`{{${word}}} is not supported`);
    if (word === 'if' || word === 'with' || word === 'range') {
      reader.takeName(word);
      return this.#block(word, reader, level);
    }
    if (word === 'break' || word === 'continue') {
      if (this.#ranges === 0) throw invalid(`{{${word}}} outside {{range}}`);
      return { kind: word };
    }
    return { kind: 'action', pipe: readPipe(reader) };
  }

  #block(kind: 'if' | 'with' | 'range', reader: ActionReader, level: number): Node {
    if (reader.next === undefined) throw invalid(`missing value for ${kind}`);
    const pipe = readPipe(reader, 0, kind === 'range');
    if (kind === 'range') this.#ranges += 1;
    const { nodes: body, ending, rest } = this.nodes(level + 1);
    if (kind === 'range') this.#ranges -= 1;
    let otherwise: Node[] = [];
    if (ending === 'else') {
      // `{{else if}}` is a block in the else part, and shares its end.
      if (kind !== 'range' && rest?.takeName(kind) === true) {
        return { kind, pipe, body, otherwise: [this.#block(kind, rest, level + 1)] };
      }
      if (rest?.next !== undefined) throw invalid('unexpected words after else');
      const after = this.nodes(level + 1);
      if (after.ending === 'else') throw invalid('expected end; found {{else}}');
      otherwise = after.nodes;
      if (after.ending === 'nothing') throw invalid('unexpected EOF');
    } else if (ending === 'nothing') throw invalid('unexpected EOF');
    return { kind, pipe, body, otherwise };
  }
}

/** @throws InputError `TEMPLATE_INVALID` */
export function parseTemplate(source: string): Node[] {
  const { nodes, ending } = new TemplateParser(cutTemplate(source)).nodes(0);
  if (ending !== 'nothing') throw invalid(`unexpected {{${ending}}}`);
  return nodes;
}
