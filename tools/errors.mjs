// docs/errors.md out of src: every stable error code, its class, where it comes from, and what to do about it.
//   node tools/errors.mjs           writes the page
//   node tools/errors.mjs --check   fails where the page is stale, or a code has no remedy
import { readFileSync, writeFileSync } from 'node:fs';
import { findCodes } from './error-codes.mjs';
import { REMEDIES } from './error-remedies.mjs';

const PAGE = 'docs/errors.md';

const CLASSES = [
  ['InputError', 'What somebody gave us is malformed. Never tried again.'],
  ['ConfigurationError', 'What we were set up with is missing or wrong: a setting, a key, a credential.'],
  ['PolicyError', 'A rule or a setting forbids it. A run ends as `refused`.'],
  ['VerificationError', 'A signature or attestation was checked, and is not good. A run ends as `refused`.'],
  ['InconclusiveError', "Whether a signature is good could not be found out. What can't be decided is not passed."],
  ['IntegrityError', 'Bytes are not what their descriptor says.'],
  ['RegistryError', 'A registry answered, and the answer was no. 429 and 5xx are tried again.'],
  ['TransportError', 'No answer came from the other side. Tried again.'],
  ['CopyError', 'A copy failed; the code of what broke it is kept, with the side that it broke on.'],
  ['PromoterError', 'Anything else of ours.'],
  ['outcome', "Not an error: a run's outcome, and why (`GET /api/runs/{id}`)."],
  ['HTTP', "An answer of the app's own HTTP functions."],
];

function cell(text) {
  // What Markdown would take for a tag, for emphasis, or for the next cell.
  const plain = text.replaceAll('<', '&lt;').replaceAll(/[|*]|__/g, (found) => `\\${[...found].join('\\')}`);
  return plain.replaceAll(/\s+/g, ' ').trim();
}

const inOrder = (a, b) => (a < b ? -1 : Number(a > b));
const sorted = (texts) => [...texts].sort(inOrder);

function page(codes) {
  const rows = [...codes.values()]
    .sort((a, b) => inOrder(a.code, b.code))
    .map(({ code, classes, places, remedies }) => {
      const remedy = REMEDIES[code] ?? sorted(remedies).join(' Or: ');
      const from = sorted(places).map((place) => `\`${place}\``);
      return `| \`${code}\` | ${cell(sorted(classes).join(', '))} | ${cell(remedy)} | ${from.join(', ')} |`;
    });
  const classes = CLASSES.filter(([name]) => [...codes.values()].some((found) => found.classes.has(name)));
  return `# Error codes

<!-- Made by tools/errors.mjs out of src; npm run check fails where it is stale. -->

Every error has a stable code, a message that names the reference, and a remedy. The code is the same in a run's row, in the
receipt and the CloudEvent, in a poison message, in an answer over HTTP, on the command line and in the log. One that a registry
sends with its answer is passed on as it stands; where it sends none, it is \`HTTP_\` and the status.

| class | what it means |
|---|---|
${classes.map(([name, what]) => `| ${name} | ${what} |`).join('\n')}

The ${rows.length} codes, and what to do about each (\`…\` stands for what the message names):

| code | class | what to do | from, in src |
|---|---|---|---|
${rows.join('\n')}
`;
}

function problemsOf({ codes, strangers }) {
  const known = new Set(CLASSES.map(([name]) => name));
  const problems = strangers.map((where) => `${where}: looks like a code, and it is not clear whose`);
  for (const { code, classes, remedies } of codes.values()) {
    for (const name of classes) if (!known.has(name)) problems.push(`${code}: the class ${name} is not described`);
    if (remedies.size === 0 && REMEDIES[code] === undefined) problems.push(`${code} has no remedy, here or in src`);
  }
  for (const code of Object.keys(REMEDIES)) {
    if (!codes.has(code)) problems.push(`${code} has a remedy, and nobody throws it`);
  }
  return problems;
}

const found = findCodes();
const problems = problemsOf(found);
const text = page(found.codes);
if (process.argv.includes('--check')) {
  let kept = '';
  try {
    kept = readFileSync(PAGE, 'utf8');
  } catch {
    problems.push(`${PAGE} is not there`);
  }
  if (kept !== text) problems.push(`${PAGE} is stale: node tools/errors.mjs`);
} else {
  writeFileSync(PAGE, text);
  process.stdout.write(`${PAGE}: ${found.codes.size} codes\n`);
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length === 0 ? 0 : 1);
