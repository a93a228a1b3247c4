// Finds the error codes in src by its syntax: what is thrown, and what runs end with.
import { globSync, readFileSync } from 'node:fs';
import { parseSync } from '@swc/core';

/** Codes without an underscore are only these. */
const SHAPE =
  /^(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|DENIED|INTERNAL|STALLED|TIMEOUT|TOOMANYREQUESTS|UNAUTHORIZED|UNSUPPORTED)$/;
/** Names of Node, undici, os-release and SPDX, which are not ours. */
const FOREIGN = /^(?:UND_ERR_|EAI_|ERR_|VERSION_ID$|OPERATING_SYSTEM$|DEPENDS_ON$|PROXY_REFUSED$)/;
/** The file that has codes in tables: by status, and with their remedies. */
const TABLES = 'src/oci/registry/error-from-answer.ts';

const isCode = (node) => node?.type === 'StringLiteral' && SHAPE.test(node.value) && !FOREIGN.test(node.value);

/** Calls `visit(node, parents)` for every node of a tree. */
function walk(node, visit, parents = []) {
  if (typeof node !== 'object' || node === null) return;
  if (Array.isArray(node)) {
    for (const each of node) walk(each, visit, parents);
    return;
  }
  const isNode = typeof node.type === 'string';
  if (isNode) visit(node, parents);
  const next = isNode ? [...parents, node] : parents;
  for (const [key, value] of Object.entries(node)) if (key !== 'span') walk(value, visit, next);
}

function nameOf(node) {
  if (node === undefined || node === null) return undefined;
  if (node.type === 'MemberExpression') return nameOf(node.property);
  return node.type === 'PrivateName' ? `#${node.value ?? node.id?.value}` : node.value;
}

function property(object, name) {
  if (object?.type === 'ParenthesisExpression') return property(object.expression, name);
  if (object?.type !== 'ObjectExpression') return undefined;
  for (const each of object.properties) {
    if (each.type === 'KeyValueProperty' && nameOf(each.key) === name) return each.value;
    if (each.type === 'Identifier' && each.value === name) return each;
    // `...(condition && { remedy: … })`
    if (each.type === 'SpreadElement' && each.arguments.type === 'ParenthesisExpression') {
      const inner = each.arguments.expression;
      const spread = property(inner.type === 'BinaryExpression' ? inner.right : inner, name);
      if (spread !== undefined) return spread;
    }
  }
  return undefined;
}

/** The string literals of an expression that stand for its value. */
function literalsOf(node, constants) {
  switch (node?.type) {
    case 'StringLiteral':
      return [node];
    case 'ConditionalExpression':
      return [...literalsOf(node.consequent, constants), ...literalsOf(node.alternate, constants)];
    case 'BinaryExpression':
      return node.operator === '??' || node.operator === '||'
        ? [...literalsOf(node.left, constants), ...literalsOf(node.right, constants)]
        : [];
    case 'ArrayExpression':
      return node.elements.flatMap((element) => literalsOf(element?.expression, constants));
    case 'ParenthesisExpression':
      return literalsOf(node.expression, constants);
    case 'Identifier':
      return constants.get(node.value)?.flatMap((value) => literalsOf(value, new Map())) ?? [];
    default:
      return [];
  }
}

const FUNCTIONS = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ClassMethod',
  'PrivateMethod',
]);

/** The enclosing function that has this parameter: its name, and the parameter's position and default. */
function carrierOf(parameter, parents) {
  for (let index = parents.length - 1; index >= 0; index -= 1) {
    const node = parents[index];
    if (!FUNCTIONS.has(node.type)) continue;
    const params = (node.params ?? node.function?.params ?? []).map((each) => each.pat ?? each);
    // `code = 'SOME_CODE'` is an assignment with the parameter on its left.
    const place = params.findIndex((each) => nameOf(each.left ?? each) === parameter);
    const declarator = parents[index - 1];
    const name =
      nameOf(node.identifier ?? node.key) ??
      (declarator?.type === 'VariableDeclarator' ? nameOf(declarator.id) : undefined);
    if (place >= 0 && name !== undefined) return { name, place, byDefault: params[place].right };
  }
  return undefined;
}

/** @returns `codes`, each with its classes; `strangers`: literals shaped like codes that nothing explains */
export function findCodes() {
  const files = globSync('src/**/*.ts').sort().map(read);
  const settings = new Set();
  for (const { path, tree } of files) {
    if (path !== 'src/settings.ts') continue;
    walk(tree, (node) => node.type === 'KeyValueProperty' && settings.add(nameOf(node.key)));
  }
  const codes = new Map();
  const explained = new Set();
  const carriers = new Map();
  const note = (literal, name) => {
    explained.add(literal);
    if (!isCode(literal) || settings.has(literal.value)) return;
    const found = codes.get(literal.value) ?? { code: literal.value, classes: new Set() };
    codes.set(literal.value, found);
    found.classes.add(name);
  };
  for (const file of files) thrown(file, note, carriers);
  while (files.some((file) => handedOn(file, carriers)));
  for (const file of files) carried(file, note, carriers, explained);
  return { codes, strangers: strangersIn(files, explained, settings) };
}

function read(path) {
  const tree = parseSync(readFileSync(path, 'utf8'), { syntax: 'typescript', target: 'es2023' });
  const constants = new Map();
  walk(tree, (node) => {
    if (node.type !== 'VariableDeclarator' || node.init === null || nameOf(node.id) === undefined) return;
    constants.set(nameOf(node.id), [...(constants.get(nameOf(node.id)) ?? []), node.init]);
  });
  return { path, tree, constants };
}

/** Finds `new SomeError('CODE', …)`, and functions that take the code as a parameter. */
function thrown({ tree, constants }, note, carriers) {
  walk(tree, (node, parents) => {
    const [name, args] = errorMade(node, parents);
    if (name === undefined) return;
    const code = name === 'RegistryError' ? registryCode(args) : args[0]?.expression;
    for (const literal of literalsOf(code, constants)) note(literal, name);
    carry(code, parents, carriers, { error: name });
  });
}

/** The code of a registry error: its own, or else the registry's first. */
function registryCode(args) {
  const codes = property(args[1]?.expression, 'registryCodes');
  return (
    property(args[2]?.expression, 'code') ??
    (codes?.type === 'ArrayExpression' ? codes.elements[0]?.expression : undefined)
  );
}

/** Remembers a function that takes a code as a parameter. @returns whether it is new */
function carry(code, parents, carriers, made) {
  const carrier = code?.type === 'Identifier' ? carrierOf(code.value, parents) : undefined;
  if (carrier === undefined || carriers.has(carrier.name)) return false;
  carriers.set(carrier.name, { ...made, ...carrier });
  return true;
}

/** Finds functions that pass their parameter to such a function. @returns whether there are new ones */
function handedOn({ tree }, carriers) {
  let isNew = false;
  walk(tree, (node, parents) => {
    const carrier = node.type === 'CallExpression' ? carriers.get(nameOf(node.callee)) : undefined;
    if (carrier !== undefined)
      isNew = carry(node.arguments[carrier.place]?.expression, parents, carriers, carrier) || isNew;
  });
  return isNew;
}

const isError = (name) => name?.endsWith('Error') === true;

function errorMade(node, parents) {
  if (node.type === 'NewExpression' && isError(nameOf(node.callee))) return [nameOf(node.callee), node.arguments ?? []];
  if (node.type === 'CallExpression' && node.callee.type === 'Super') {
    const parent = parents.findLast(({ type }) => type === 'ClassDeclaration')?.superClass;
    if (isError(nameOf(parent))) return [nameOf(parent), node.arguments];
  }
  return [undefined, []];
}

/** Finds codes that are arguments of such functions, outcomes, or HTTP answers. */
function carried({ path, tree, constants }, note, carriers, explained) {
  walk(tree, (node) => {
    if (node.type === 'CallExpression') {
      const carrier = carriers.get(nameOf(node.callee));
      for (const literal of literalsOf(
        node.arguments[carrier?.place ?? -1]?.expression ?? carrier?.byDefault,
        constants,
      )) {
        note(literal, carrier.error);
      }
      if (nameOf(node.callee) === 'errorAnswer') {
        for (const literal of literalsOf(node.arguments[1]?.expression, constants)) note(literal, 'HTTP');
      }
    }
    if (node.type === 'ObjectExpression') {
      for (const literal of literalsOf(property(node, 'absent'), constants)) note(literal, 'RegistryError');
      for (const literal of literalsOf(property(node, 'code'), constants)) {
        if (!explained.has(literal)) note(literal, 'outcome');
      }
    }
    if (path === TABLES && node.type === 'ArrayExpression' && node.elements.length === 2) {
      const [key, value] = node.elements.map((element) => element?.expression);
      if (key.type === 'NumericLiteral') note(value, 'RegistryError');
      if (isCode(key)) note(key, 'RegistryError');
    }
  });
}

/** Nodes that only read a code: comparisons, types, sets to look it up in. */
const READERS = new Set(['BinaryExpression', 'TsLiteralType', 'SwitchCase']);

function strangersIn(files, explained, settings) {
  const strangers = [];
  for (const { path, tree } of files) {
    walk(tree, (node, parents) => {
      if (!isCode(node) || explained.has(node) || settings.has(node.value)) return;
      const [outer, inner] = [parents.at(-2), parents.at(-1)];
      const isLookUp =
        inner?.type === 'ArrayExpression' && outer?.type === 'NewExpression' && nameOf(outer.callee) === 'Set';
      const isAsked = inner?.type === 'CallExpression' && /^(?:includes|has)$/.test(nameOf(inner.callee) ?? '');
      if (!READERS.has(inner?.type) && !isLookUp && !isAsked) strangers.push(`${path}: ${node.value}`);
    });
  }
  return strangers;
}
