import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GENERATED, HOW_TO_MARK, PAGES, blocksOf, type Block } from './docs/blocks.js';
import { commandsOf } from './docs/commands.js';
import { checkBlock } from './docs/parsed.js';
import { makeCheckout, runBlocks, type Checkout } from './docs/shell.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';

// Runs the commands of README.md and docs/ as printed, or parses them with the program's own parser.

const isRun = ({ file, language, mark }: Block): boolean => file !== GENERATED && language === 'sh' && mark === '';
const all = PAGES.map((page) => ({ page, blocks: blocksOf(page) })).filter(({ blocks }) => blocks.length > 0);

describe('blocks that are not run can be parsed', () => {
  test.each(all)('in $page', ({ blocks }) => {
    for (const block of blocks.filter((each) => !isRun(each))) checkBlock(block);
  });

  test('README.md and at least three other pages have blocks that are run', () => {
    const run = all.filter(({ blocks }) => blocks.some(isRun)).map(({ page }) => page);
    expect(run).toContain('README.md');
    expect(run.length).toBeGreaterThan(3);
  });

  const block = (changes: Partial<Block>): Block => ({
    file: 'x.md',
    line: 1,
    language: 'sh',
    mark: 'azure',
    text: '',
    ...changes,
  });
  test.each<[string, Partial<Block>, RegExp]>([
    ['no language', { language: '' }, /without a language/],
    ['an unknown mark', { mark: 'azur' }, /"azur" is no mark/],
    [
      'a flag that copy does not have',
      { text: 'npx acr-promoter copy -r a/b:v1 c/d:v1 -u admin -p x' },
      /unknown option '-u'/,
    ],
    ['a command that is not there', { text: 'X=1 acr-promoter explian a' }, /unknown command 'explian'/],
    ['a command within another', { text: 'ID=$(acr-promoter runs --nope)' }, /unknown option '--nope'/],
    ['a shell error', { text: 'if true' }, /shell cannot read it/],
    ['an npm script that is not there', { text: 'npm run nothing' }, /no npm script nothing/],
    ['a program that nobody knows', { text: 'frobnicate --all' }, /frobnicate is a program/],
    [
      'a job with an unknown field',
      { language: 'json', mark: '', text: '{"operation":"resolve","ref":"a"}' },
      /malformed/,
    ],
    ['rules with an unknown field', { language: 'yaml', mark: '', text: 'rules: [{ nme: a }]' }, /rules\[0\]|rules\.0/],
  ])('%s is found, and the message says how a block is marked', (_what, changes, why) => {
    expect(() => checkBlock(block(changes))).toThrow(why);
    expect(() => checkBlock(block(changes))).toThrow('```sh azure');
  });

  test('commands are split as the shell splits them', () => {
    const text = `A=1 az x --q "a b" \\\n  -o tsv # more\nfor each && b "$(c d 'e f')" > out | g <my app>\ncat <<'EOF' > f\nno command\nEOF\nh`;
    expect(commandsOf(text)).toEqual([
      ['az', 'x', '--q', 'a b', '-o', 'tsv'],
      ['for', 'each'],
      ['c', 'd', 'e f'],
      ['b', 'OUTPUT'],
      ['g', 'FILL_IN'],
      ['cat'],
      ['h'],
    ]);
  });
});

describe('commands run as printed', () => {
  let up: Everything;
  let folder: string;
  let checkout: Checkout;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-docs-'));
    up = await startEverything();
    checkout = await makeCheckout(folder, up);
    // The sample that npm start pushes.
    await until('the sample to be promoted', async () =>
      (await up.promotion('samples/hello', 'v1'))?.last === undefined ? undefined : true,
    );
  }, 180_000);
  afterAll(async () => {
    await up?.stop();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  test.each(all.filter(({ blocks }) => blocks.some(isRun)))(
    '$page',
    async ({ blocks }) => {
      const { code, output, last } = await runBlocks(checkout, up, blocks.filter(isRun));
      if (code === 0) return;
      const where = last === undefined ? '' : `${last.file}:${last.line}\n${last.text}`;
      throw new Error(
        `this block ended with ${code}: ${where}\n\nIt printed:\n${output.slice(-3000)}\n\n${HOW_TO_MARK}`,
      );
    },
    240_000,
  );
});
