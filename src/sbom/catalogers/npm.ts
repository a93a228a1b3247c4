import type { Cataloger, Reading } from './cataloger.js';
import { readPackageJson } from './package-json.js';

/**
 * Matches `node_modules/NAME` or `node_modules/@scope/NAME`, at any depth. Names that start with a dot are npm's own
 * folders.
 */
const PACKAGE_ROOT = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*$/;
const MANIFEST = '/package.json';

/**
 * Reads npm packages: each folder below a node_modules folder that has a package.json.
 * @see https://docs.npmjs.com/cli/v11/configuring-npm/package-json
 */
export const npmCataloger: Cataloger = {
  name: 'npm',
  kind: 'language',
  maxBytes: 1024 * 1024,
  wants: (path) => path.endsWith(MANIFEST) && PACKAGE_ROOT.test(path.slice(0, -MANIFEST.length)),
  // Debian has them in /usr/share/nodejs, workspaces anywhere, but not in each other's packages.
  mayWant: (path) => path.endsWith(MANIFEST) && !path.includes('node_modules/'),
  async read(file): Promise<Reading> {
    const { json: _json, packages = [], ...gaps } = readPackageJson(await file.whole());
    return { ...(packages.length > 0 && { packages: packages.map((found) => ({ ...found, owns: ['./'] })) }), ...gaps };
  },
};
