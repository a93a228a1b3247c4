import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { createProgram } from '../../../src/cli/run.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { isRecord } from '../../../src/oci/index.js';
import { parseRules } from '../../../src/rules/rules-file.js';
import { createMemoryIo } from '../../support/memory-io.js';
import { GENERATED, HOW_TO_MARK, type Block } from './blocks.js';
import { commandsOf } from './commands.js';

/** Programs of others and shell built-ins that a page may call. */
const OTHERS =
  /^(?:az|azd|bash|cat|cd|cosign|crane|curl|docker|echo|export|git|go|helm|jq|kubectl|mkdir|notation|openssl|oras|printf|read|regctl|rm|sleep|tar|unset|unzip)$/;
/** Replaces a digest that an earlier command prints. */
const DIGEST = `sha256:${'a'.repeat(64)}`;
/** Languages that are not checked: output, and input of other programs. */
const OF_OTHERS = ['text', 'kusto', 'bicep', 'mermaid'];

/** Checks a block that is not run. @throws Error with the problem, its place, and how blocks are marked */
export function checkBlock(block: Block): void {
  try {
    check(block);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${block.file}:${block.line}: ${why}\n${block.text}\n\n${HOW_TO_MARK}`, { cause: error });
  }
}

function check({ file, language, mark, text }: Block): void {
  if (file === GENERATED && language === 'bash') return;
  if (language === 'json') return checkDocument(JSON.parse(text.replaceAll(/<\w+-digest>/g, DIGEST)), text);
  if (language === 'jsonl') return text.split('\n').forEach((line) => checkDocument(JSON.parse(line), line));
  if (language === 'yaml') return checkDocument(parseYaml(text), text);
  if (OF_OTHERS.includes(language)) return;
  if (language !== 'sh')
    throw new Error(`a block ${language === '' ? 'without a language' : `of ${language}`} is not checked by anything`);
  if (mark !== '' && mark !== 'azure' && mark !== 'long') throw new Error(`"${mark}" is no mark`);
  const { status, stderr } = spawnSync('bash', ['-n'], {
    input: text.replaceAll(/<([a-z][^<>\n]*)>/g, 'FILL_IN'),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the shell cannot read it: ${stderr}`);
  for (const command of commandsOf(text)) checkCommand(command);
}

function checkDocument(value: unknown, text: string): void {
  if (isRecord(value) && typeof value.operation === 'string') parseJob(value, { messageId: 'docs' });
  if (isRecord(value) && 'rules' in value) parseRules(text, 'docs');
}

function checkCommand([program = '', ...args]: string[]): void {
  const words = program === 'npx' ? args : [program, ...args];
  const [name = '', ...rest] = words;
  if (name === 'acr-promoter') return checkOurs(rest);
  if (name === 'npm') return checkNpm(rest);
  if (name === 'node') return checkNode(rest);
  if (!OTHERS.test(name))
    throw new Error(`${name} is a program that no page calls yet: add it to ${import.meta.filename}`);
}

function checkNpm([verb = '', script = '']: string[]): void {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const name = verb === 'run' ? script : verb;
  if (!['ci', 'install', 'pack'].includes(verb) && scripts[name] === undefined)
    throw new Error(`there is no npm script ${name}`);
}

function checkNode(args: readonly string[]): void {
  for (const file of args.filter((each) => /\.[cm]?[jt]s$/.test(each)))
    if (!existsSync(file)) throw new Error(`there is no ${file}`);
}

/** Parses the line with the command line's own parser and runs nothing. @throws CommanderError */
function checkOurs(args: string[]): void {
  const program = createProgram(createMemoryIo().io);
  const still = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => {});
    for (const each of command.commands) still(each);
  };
  still(program);
  program.parse(args, { from: 'user' });
}
