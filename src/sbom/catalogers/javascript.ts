import { isRecord } from '../../oci/index.js';
import { cleanPath } from '../layers/path.js';
import { LONGEST_NAME, type Cataloger, type Reading } from './cataloger.js';
import { readPackageJson } from './package-json.js';

/** Programs of one package that are looked for. */
const MOST_ENTRIES = 100;
/** What Node adds to the path of a program. */
const ENDINGS = ['', '.js', '.cjs', '.mjs', '.json', '.node', '/index.js'];

interface Facts {
  /** Programs and the main module, from the folder of the manifest. */
  entries: string[];
}

/** @see https://docs.npmjs.com/cli/v11/configuring-npm/package-json#main */
function entriesOf({ bin, main }: Record<string, unknown>): string[] {
  return [isRecord(bin) ? Object.values(bin) : bin, main ?? 'index.js']
    .flat()
    .filter((entry) => typeof entry === 'string' && entry.length <= LONGEST_NAME && !entry.split('/').includes('..'))
    .slice(0, MOST_ENTRIES) as string[];
}

/**
 * Reads JavaScript programs that were unpacked and not installed by npm, such as Yarn in the images of Node: a package.json
 * outside of node_modules with a name, a version, and a program or main module that exists.
 */
export const javascriptCataloger: Cataloger<Facts> = {
  name: 'javascript',
  kind: 'language',
  maxBytes: 1024 * 1024,
  wants: (path) =>
    path.endsWith('package.json') && /(?:^|\/)package\.json$/.test(path) && !/(?:^|\/)node_modules\//.test(path),
  dependsOnFolder: true,
  async read(file): Promise<Reading<Facts>> {
    const { json, packages, gaps } = readPackageJson(await file.whole());
    // Templates and tests have a package.json that describes nothing.
    return json === undefined || packages === undefined
      ? {}
      : { packages, facts: { entries: entriesOf(json) }, ...(gaps && { gaps }) };
  },
  combine: (found, files) => ({
    packages: found.flatMap(({ path, layer, reading: { packages = [], facts } }) => {
      const folder = path.slice(0, path.lastIndexOf('/') + 1);
      const exists = facts?.entries.some((entry) =>
        ENDINGS.some((ending) => files.has(cleanPath(`${folder}${entry}${ending}`))),
      );
      return exists === true ? packages.map((each) => ({ ...each, path, layer })) : [];
    }),
  }),
};
