import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';

/** The strict schema of the CycloneDX library, with ajv configured as in the library's validator. */
function cycloneDxValidator(): ValidateFunction {
  const library = dirname(createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library/package.json'));
  const schema = (name: string): object =>
    JSON.parse(readFileSync(join(library, 'res/schema', `${name}.SNAPSHOT.schema.json`), 'utf8')) as object;
  const ajv = new Ajv({
    strict: false,
    addUsedSchema: false,
    schemas: {
      'http://cyclonedx.org/schema/spdx.SNAPSHOT.schema.json': schema('spdx'),
      'http://cyclonedx.org/schema/jsf-0.82.SNAPSHOT.schema.json': schema('jsf-0.82'),
    },
  });
  formats.default(ajv);
  ajv.addFormat('iri-reference', true);
  ajv.addFormat('idn-email', true);
  return ajv.compile(schema('bom-1.6'));
}

let isCycloneDx: ValidateFunction | undefined;

/** What the CycloneDX 1.6 schema refuses of a document. */
export function cycloneDxErrors(document: unknown): unknown[] {
  isCycloneDx ??= cycloneDxValidator();
  isCycloneDx(document);
  return isCycloneDx.errors ?? [];
}
