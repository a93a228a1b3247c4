// docs/reference/errors.md: every stable error code that src can end with, when it occurs, and what to do.
//   node tools/errors.mjs           writes the page
//   node tools/errors.mjs --check   fails if the page is stale, or a code has no line in tools/error-remedies.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { findCodes } from './error-codes.mjs';
import { REMEDIES } from './error-remedies.mjs';

const PAGE = 'docs/reference/errors.md';
/** Classes of errors that tell how a run goes on. */
const MARKS = [
  [/^(?:Policy|Verification)Error$/, 'refused'],
  [/^TransportError$/, 'retried'],
];

/** Without what Markdown would read as a tag or as emphasis. */
const plain = (text) => text.replaceAll('<', '&lt;').replaceAll(/\*|__/g, (found) => `\\${[...found].join('\\')}`);

/** What the page says of a code. */
function textOf({ code, classes }) {
  const [when, what] = REMEDIES[code] ?? ['', ''];
  const marks = MARKS.filter(([kind]) => [...classes].every((name) => kind.test(name))).map(
    ([, mark]) => `; *${mark}*`,
  );
  return ` (${plain(when)}${marks.join('')}): ${plain(what)}`;
}

function page(codes) {
  // Codes with one text share a line.
  const sharing = new Map();
  for (const found of [...codes.values()].sort((a, b) => (a.code < b.code ? -1 : 1))) {
    const text = textOf(found);
    sharing.set(text, [...(sharing.get(text) ?? []), `\`${found.code}\``]);
  }
  const lines = [...sharing].map(([text, names]) => `- ${names.join(', ')}${text}`);
  return `# Error codes

<!-- Written by tools/errors.mjs; npm run check fails if it is stale. -->

A code is the same in rows, receipts, events, poison messages, HTTP answers, logs and on the command line. If a registry's answer has a code, that code is used; otherwise the code is \`HTTP_\` and the status. Codes marked *refused* end a run as \`refused\`; codes marked *retried*, 429 and 5xx are retried until the deadline.

${lines.join('\n')}
`;
}

const { codes, strangers } = findCodes();
const problems = strangers.map((where) => `${where}: looks like an error code; nothing throws it`);
for (const code of codes.keys())
  if (!Array.isArray(REMEDIES[code])) problems.push(`${code}: tools/error-remedies.mjs has no pair [when, what to do]`);
for (const code of Object.keys(REMEDIES))
  if (!codes.has(code)) problems.push(`${code}: has a line, and nothing throws it`);
const text = page(codes);
if (!process.argv.includes('--check')) writeFileSync(PAGE, text);
else if (readFileSync(PAGE, 'utf8') !== text) problems.push(`${PAGE} is stale: node tools/errors.mjs`);
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length === 0 ? 0 : 1);
