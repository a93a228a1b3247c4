// Fails on a link of a page that leads nowhere, and on a path below docs/ that a file names and that does not exist.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\0')
  .filter(
    (path) =>
      /\.(?:md|ts|mjs|json|bicep|bicepparam|yaml)$/.test(path) && path !== 'package-lock.json' && existsSync(path),
  );

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
    return [...dead, ...named.filter((path) => !existsSync(path))].map(
      (path) => `${file}:${at + 1}: ${path} does not exist`,
    );
  });
});
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length === 0 ? 0 : 1);
