// Fails on dead links of pages, on paths below docs/ that do not exist, on source files that a page names and that do not exist,
// and if the pages are longer than MOST_WORDS together.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\0')
  .filter(
    (path) =>
      /\.(?:md|ts|mjs|json|bicep|bicepparam|yaml)$/.test(path) && path !== 'package-lock.json' && existsSync(path),
  );

const names = new Set(files.map((path) => basename(path)));
/** Pages whose names of source files are checked; `NAME.ts` stands for any. */
const NAMING = /^(?:README|CONTRIBUTING|docs\/.*)\.md$/;

/** README, CONTRIBUTING, CHANGELOG and docs have at most so many words together, as `wc -w` counts them. */
const MOST_WORDS = 22_000;

/** The anchors of a page, as GitHub makes them from its headings. */
function anchorsOf(path) {
  const headings = readFileSync(path, 'utf8').matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    [...headings].map(([, text]) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function isThere(page, target) {
  const [path, anchor] = target.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  return existsSync(file) && (anchor === undefined || anchorsOf(file).has(anchor));
}

const problems = files.flatMap((file) => {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, at) => {
    const links = file.endsWith('.md') ? [...line.matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => to) : [];
    const dead = links.filter((to) => !/^[a-z]+:/.test(to) && !isThere(file, to));
    const named = file.startsWith('test/')
      ? []
      : [...line.matchAll(/(?<![\w/.-])docs\/[\w/-]+\.md\b/g)].map(([path]) => path);
    const sources = NAMING.test(file) ? [...line.matchAll(/[\w./-]+\.(?:ts|mjs|bicep)\b/g)].map(([path]) => path) : [];
    const gone = sources.filter((path) => !names.has(basename(path)) && !basename(path).startsWith('NAME.'));
    return [...dead, ...gone, ...named.filter((path) => !existsSync(path))].map(
      (path) => `${file}:${at + 1}: ${path} does not exist`,
    );
  });
});
const words = files
  .filter((path) => /^(?:README|CONTRIBUTING|CHANGELOG|docs\/.*)\.md$/.test(path))
  .reduce((sum, path) => sum + readFileSync(path, 'utf8').trim().split(/\s+/).length, 0);
if (words > MOST_WORDS) problems.push(`docs: ${words} words, at most ${MOST_WORDS}: shorten a page`);
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length === 0 ? 0 : 1);
