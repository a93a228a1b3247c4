import { Budget } from './budget.js';
import { formatValue } from './format.js';
import { callFunction, isFunction } from './functions.js';
import { invalid } from './lexer.js';
import type { Node, Pipe, Term } from './parser.js';
import { entryOf, failed, isList, isMap, isTruthy, keysOf, typeOf, type Value } from './values.js';

type Signal = 'break' | 'continue' | undefined;

interface Variable {
  name: string;
  value: Value;
}

function fieldOf(value: Value, name: string): Value {
  if (value === undefined) return undefined;
  if (isMap(value)) return entryOf(value, name);
  throw failed(`can't evaluate field ${name} in type ${typeOf(value)}`);
}

/** Evaluates a template over its data. */
class Evaluation {
  readonly #variables: Variable[];
  readonly #budget = new Budget();
  readonly #output: string[] = [];

  constructor(data: Value) {
    this.#variables = [{ name: '$', value: data }];
  }

  get output(): string {
    return this.#output.join('');
  }

  run(nodes: readonly Node[], dot: Value): Signal {
    for (const node of nodes) {
      const signal = this.#node(node, dot);
      if (signal !== undefined) return signal;
    }
    return undefined;
  }

  #node(node: Node, dot: Value): Signal {
    switch (node.kind) {
      case 'text':
        this.#write(node.text);
        return undefined;
      case 'action': {
        const value = this.#pipe(node.pipe, dot);
        if (node.pipe.variables.length === 0) this.#write(formatValue(value, '<no value>'));
        return undefined;
      }
      case 'break':
      case 'continue':
        return node.kind;
      case 'range':
        return this.#scoped(() => this.#range(node, dot));
      case 'if':
      case 'with':
        return this.#scoped(() => {
          const value = this.#pipe(node.pipe, dot);
          if (!isTruthy(value)) return this.run(node.otherwise, dot);
          return this.run(node.body, node.kind === 'with' ? value : dot);
        });
    }
  }

  #range(node: Extract<Node, { pipe: Pipe; body: Node[] }>, dot: Value): Signal {
    const { variables } = node.pipe;
    const value = this.#commands(node.pipe, dot);
    const entries = this.#entries(value);
    let isEmpty = true;
    for (const [key, item] of entries) {
      isEmpty = false;
      this.#budget.step();
      const signal = this.#scoped(() => {
        if (variables.length > 0) this.#set(node.pipe, variables.length === 1 ? [item] : [key, item]);
        return this.run(node.body, item);
      });
      if (signal === 'break') break;
    }
    return isEmpty ? this.run(node.otherwise, dot) : undefined;
  }

  *#entries(value: Value): Generator<[Value, Value]> {
    if (value === undefined) return;
    if (typeof value === 'bigint') {
      for (let index = 0n; index < value; index += 1n) yield [index, index];
    } else if (isList(value)) {
      for (const [index, item] of value.entries()) yield [BigInt(index), item];
    } else if (isMap(value)) {
      for (const key of keysOf(value)) yield [key, value[key]];
    } else throw failed(`range can't iterate over ${formatValue(value).slice(0, 100)}`);
  }

  #pipe(pipe: Pipe, dot: Value): Value {
    const value = this.#commands(pipe, dot);
    if (pipe.variables.length > 0) this.#set(pipe, [value]);
    return value;
  }

  #commands(pipe: Pipe, dot: Value): Value {
    let piped: [] | [Value] = [];
    for (const command of pipe.commands) piped = [this.#command(command, dot, piped)];
    return piped[0];
  }

  #command([first, ...rest]: readonly Term[], dot: Value, piped: readonly Value[]): Value {
    if (first === undefined) return undefined;
    if (first.kind !== 'function') {
      if (rest.length + piped.length > 0) throw failed("can't give argument to non-function");
      return this.#term(first, dot);
    }
    if (first.name !== 'and' && first.name !== 'or') {
      const args = [...rest.map((term) => this.#term(term, dot)), ...piped];
      this.#budget.before(first.name, args);
      return this.#budget.after(callFunction(first.name, args));
    }
    const stopsAt = first.name === 'or';
    let value: Value;
    for (const term of rest) {
      value = this.#term(term, dot);
      if (isTruthy(value) === stopsAt) return value;
    }
    if (rest.length + piped.length === 0) throw failed(`wrong number of args for ${first.name}: want at least 1 got 0`);
    return piped.length > 0 ? piped[0] : value;
  }

  #term(term: Term, dot: Value): Value {
    switch (term.kind) {
      case 'literal':
        return term.value;
      case 'nil':
        return undefined;
      case 'dot':
        return term.fields.reduce(fieldOf, dot);
      case 'variable':
        return term.fields.reduce(fieldOf, this.#variable(term.name).value);
      case 'pipe':
        return term.fields.reduce(fieldOf, this.#pipe(term.pipe, dot));
      case 'function':
        return this.#command([term], dot, []);
    }
  }

  #variable(name: string): Variable {
    const found = this.#variables.findLast((variable) => variable.name === name);
    if (found === undefined) throw invalid(`undefined variable "${name}"`);
    return found;
  }

  #set(pipe: Pipe, values: readonly Value[]): void {
    for (const [index, name] of pipe.variables.entries()) {
      if (pipe.declares) this.#variables.push({ name, value: values[index] });
      else this.#variable(name).value = values[index];
    }
  }

  /** Variables of a block end with it. */
  #scoped(work: () => Signal): Signal {
    const count = this.#variables.length;
    const signal = work();
    this.#variables.length = count;
    return signal;
  }

  #write(text: string): void {
    this.#budget.output(text);
    this.#output.push(text);
  }
}

/** Names of functions are checked before anything is evaluated, as Go does. */
function checkFunctions(nodes: readonly Node[]): void {
  const checkPipe = (pipe: Pipe): void => {
    for (const term of pipe.commands.flat()) {
      if (term.kind === 'pipe') checkPipe(term.pipe);
      if (term.kind === 'function' && !isFunction(term.name)) throw invalid(`function "${term.name}" not defined`);
    }
  };
  for (const node of nodes) {
    if ('pipe' in node) checkPipe(node.pipe);
    if ('body' in node) {
      checkFunctions(node.body);
      checkFunctions(node.otherwise);
    }
  }
}

export function evaluateTemplate(nodes: readonly Node[], data: Value): string {
  checkFunctions(nodes);
  const evaluation = new Evaluation(data);
  evaluation.run(nodes, data);
  return evaluation.output;
}
