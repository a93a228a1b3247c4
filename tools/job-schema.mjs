// Writes schemas/job.schema.json from the code's own schema (dist must be built); --check fails if the file is stale.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { jobJsonSchema } from '../dist/src/operations/job-schema.js';

const path = new URL('../schemas/job.schema.json', import.meta.url);
const text = await format(JSON.stringify(jobJsonSchema()), {
  ...(await resolveConfig(path)),
  parser: 'json',
});
if (process.argv.includes('--check')) {
  const found = await readFile(path, 'utf8').catch(() => '');
  if (found !== text) {
    process.stderr.write(
      'schemas/job.schema.json is not what the code reads: npm run build && node tools/job-schema.mjs\n',
    );
    process.exit(1);
  }
} else {
  await mkdir(new URL('.', path), { recursive: true });
  await writeFile(path, text);
}
