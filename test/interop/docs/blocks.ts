import { globSync, readFileSync } from 'node:fs';

/** A code block of a page. */
export interface Block {
  file: string;
  /** Of its first line of text, from 1. */
  line: number;
  /** The first word after the fence: `sh`, `json`; empty if there is none, or if the block is indented. */
  language: string;
  /** The second one: `azure`, `long`. */
  mark: string;
  text: string;
}

/** Pages whose blocks are checked. */
export const PAGES = ['README.md', ...globSync('docs/**/*.md').toSorted((a, b) => a.localeCompare(b))];

/** Written by guide.test.ts, which runs its commands. */
export const GENERATED = 'docs/how-to/oras-guide.md';

/** The kinds of blocks, for authors of pages. */
export const HOW_TO_MARK = `Begin the block with one of these:
  \`\`\`sh        commands; the test runs them as printed, block by block, in a shell of the page, against \`npm start\`
              (its registries are localhost:5100 and localhost:5101, its app http://localhost:7071)
  \`\`\`sh azure  commands that need Azure or another registry; parsed only: our own by the command line's options, others by name
  \`\`\`sh long   commands that take minutes, or are run by .ci/run itself; parsed only
  \`\`\`json, \`\`\`yaml  jobs and rules are read by the app's own reader, other documents must be well formed; \`\`\`jsonl: one in each line
  \`\`\`text, \`\`\`kusto, \`\`\`mermaid  output, and what other programs read
A value that the reader fills in stands in angle brackets (<app>) in a block that is parsed only; in one that is run, an earlier line sets
it as a shell variable.`;

/** The fenced and the indented code blocks of a page. */
export function blocksOf(file: string): Block[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const fence = /^\s*(`{3,}|~{3,})\s*(\S*)\s*(.*)$/.exec(lines[index] ?? '');
    if (fence !== null) {
      const [, mark = '', language = '', more = ''] = fence;
      const end = lines.findIndex((line, at) => at > index && line.trim().startsWith(mark));
      if (end < 0) throw new Error(`${file}:${index + 1}: this block has no end`);
      const text = lines.slice(index + 1, end).join('\n');
      blocks.push({ file, line: index + 2, language, mark: more.trim(), text });
      index = end;
    } else if (isIndented(lines, index)) {
      const end = lines.findIndex((line, at) => at > index && !/^(?: {4}|\t)/.test(line));
      const text = lines.slice(index, end < 0 ? undefined : end).map((line) => line.trim());
      blocks.push({ file, line: index + 1, language: '', mark: '', text: text.join('\n') });
      index = end < 0 ? lines.length : end - 1;
    }
  }
  return blocks;
}

/** Indented code after an empty line; the continuation of a list item is not code. */
function isIndented(lines: readonly string[], index: number): boolean {
  if (!/^(?: {4}|\t)\S/.test(lines[index] ?? '') || (lines[index - 1] ?? '') !== '') return false;
  const before = lines.slice(0, index).findLast((line) => /^\S/.test(line)) ?? '';
  return !/^(?:[-*+]|\d+[.)]) /.test(before);
}
