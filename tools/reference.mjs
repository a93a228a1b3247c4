// Writes the generated parts of docs/reference: commands, from the command line's own help; fields of jobs, from the job schema.
//   node tools/reference.mjs           writes them (dist must be built)
//   node tools/reference.mjs --check   fails if one is stale
import { readFileSync, writeFileSync } from 'node:fs';
import { createProgram } from '../dist/src/cli/run.js';

const [BEGIN, END] = ['<!-- begin: written by tools/reference.mjs -->', '<!-- end -->'];

/** One line for each command: its names and operands, and what its help says that it does. */
function commandLines(command, words = []) {
  const shown = command.commands.filter((each) => !['help', '__complete'].includes(each.name()));
  return shown.flatMap((each) => {
    const path = [...words, [each.name(), ...each.aliases()].join('|')];
    const own = `- \`${path.join(' ')}\`: ${each.summary() || each.description()}`;
    if (each.commands.length === 0) return [own];
    // A group that has options of its own also does something without a subcommand.
    return [...(each.options.length > 0 ? [own] : []), ...commandLines(each, path)];
  });
}

/** One line for each operation: its fields, the required ones first. */
function jobFields() {
  const { oneOf } = JSON.parse(readFileSync('schemas/job.schema.json', 'utf8'));
  const common = new Set(['operation', 'id', 'credential']);
  return oneOf.map(({ properties, required }) => {
    const names = Object.keys(properties).filter((name) => !common.has(name));
    const must = names.filter((name) => required.includes(name)).map((name) => `**${name}**`);
    const may = names.filter((name) => !required.includes(name));
    return `- \`${properties.operation.const}\`: ${[...must, ...may].join(', ')}`;
  });
}

const unused = () => {
  throw new Error('the reference runs no command');
};
const pages = {
  'docs/reference/command-line.md': commandLines(createProgram({ out: unused, err: unused, env: {} })),
  'docs/reference/jobs.md': jobFields(),
};
let failed = false;
for (const [path, lines] of Object.entries(pages)) {
  const text = readFileSync(path, 'utf8');
  const [before, after] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (before < 0 || after < before) throw new Error(`${path} has no place for what is generated`);
  const written = `${text.slice(0, before)}${BEGIN}\n\n${lines.join('\n')}\n\n${text.slice(after)}`;
  if (written === text) continue;
  failed = process.argv.includes('--check');
  if (failed) process.stderr.write(`${path} is stale: npm run build && node tools/reference.mjs\n`);
  else writeFileSync(path, written);
}
process.exit(failed ? 1 : 0);
