import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { layerOf, npmPackage, sbomOf, type Entry } from '../../support/sbom-image.js';
import { propertyRuns } from '../../support/property-runs.js';

const names = fc.constantFrom('left', 'right', 'over', 'Under', '@scope/left', '@scope/right', '@other/left', 'x.y_z');
const versions = fc.constantFrom('0.0.1', '1.0.0', '2.3.4-beta.1', '10.20.30+build');
const roots = fc.constantFrom('', 'app/', 'usr/local/lib/', 'app/node_modules/left/', 'srv/node_modules/@scope/right/');
const text = fc.string({ maxLength: 200 });
const plainFile = fc
  .array(fc.constantFrom('a', 'lib', 'src', 'package.json', 'node_modules', 'README', 'index.js', '@scope'), {
    minLength: 1,
    maxLength: 5,
  })
  .map((parts) => parts.join('/'))
  // Only paths that are not the package.json of a package.
  .filter((path) => !/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path));

type Step =
  | { kind: 'install'; folder: string; name: string; version: string }
  | { kind: 'file'; path: string; content: string }
  | { kind: 'remove'; path: string }
  | { kind: 'renew'; folder: string };

const install = fc
  .record({ root: roots, name: names, version: versions })
  .map(({ root, name, version }): Step => ({ kind: 'install', folder: `${root}node_modules/${name}`, name, version }));
const folders = fc.oneof(
  fc.constantFrom(
    'app',
    'app/node_modules',
    'usr/local/lib/node_modules',
    'srv',
    'node_modules',
    'node_modules/@scope',
  ),
  fc.record({ root: roots, name: names }).map(({ root, name }) => `${root}node_modules/${name}`),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: install },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('file' as const), path: plainFile, content: text }) },
  { weight: 1, arbitrary: folders.map((path): Step => ({ kind: 'remove', path })) },
  { weight: 1, arbitrary: folders.map((folder): Step => ({ kind: 'renew', folder })) },
);

/** The file system that a runtime would make of the layers, from path to content. */
function unpack(layers: readonly Step[][]): Map<string, string> {
  const files = new Map<string, string>();
  const removeBelow = (folder: string): void => {
    for (const path of files.keys()) if (path.startsWith(`${folder}/`)) files.delete(path);
  };
  const put = (path: string, content: string): void => {
    removeBelow(path);
    files.set(path, content);
  };
  for (const steps of layers) {
    // A whiteout applies to the layers below, wherever it is in the archive.
    for (const step of steps) {
      if (step.kind === 'remove') files.delete(step.path);
      if (step.kind === 'remove') removeBelow(step.path);
      if (step.kind === 'renew') removeBelow(step.folder);
    }
    for (const step of steps) {
      if (step.kind === 'install') {
        put(`${step.folder}/package.json`, JSON.stringify({ name: step.name, version: step.version }));
      }
      if (step.kind === 'file') put(step.path, step.content);
    }
  }
  return files;
}

function toEntry(step: Step): Entry {
  switch (step.kind) {
    case 'install':
      return npmPackage(step.folder, step.name, step.version);
    case 'file':
      return [step.path, step.content];
    case 'remove': {
      const slash = step.path.lastIndexOf('/') + 1;
      return [`${step.path.slice(0, slash)}.wh.${step.path.slice(slash)}`, ''];
    }
    case 'renew':
      return [`${step.folder}/.wh..wh..opq`, ''];
  }
}

/** As archivers write them. What comes before a whiteout in its own layer is a doubt. */
function whiteoutsFirst(steps: readonly Step[]): Step[] {
  const isWhiteout = ({ kind }: Step): boolean => kind === 'remove' || kind === 'renew';
  return [...steps.filter(isWhiteout), ...steps.filter((step) => !isWhiteout(step))];
}

/** True if two entries of one layer need the same path as both a file and a folder. No builder makes such a layer. */
function contradicts(steps: readonly Step[]): boolean {
  const paths = steps.flatMap((step) => {
    if (step.kind === 'install') return [`${step.folder}/package.json`];
    return step.kind === 'file' ? [step.path] : [];
  });
  return paths.some((path) => paths.some((other) => other.startsWith(`${path}/`)));
}

describe('the SBOM', () => {
  test('lists exactly the npm packages that random layers leave in the file system', async () => {
    const layer = fc.array(step, { maxLength: 8 }).filter((steps) => !contradicts(steps));
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), async (layers) => {
        const expected = new Set<string>();
        for (const [path, content] of unpack(layers)) {
          if (!/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path)) continue;
          const { name, version } = JSON.parse(content) as { name: string; version: string };
          expected.add(`${name}@${version}`);
        }
        const { document, gapCounts } = await sbomOf(
          await Promise.all(layers.map((steps) => layerOf(...whiteoutsFirst(steps).map(toEntry)))),
        );
        const listed = document.components.map(({ group, name, version }) =>
          group === undefined ? `${name}@${version}` : `${group}/${name}@${version}`,
        );
        expect(listed.toSorted()).toEqual([...expected].toSorted());
        // Where a layer has a file below what is a file in a lower one, runtimes do not agree.
        expect(gapCounts.filter(({ cause }) => cause !== 'archive-doubtful')).toEqual([]);
      }),
      { numRuns: propertyRuns(150) },
    );
  });

  test('lists the packages that npm installed, including nested ones, as in the lock file', async () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, { version: string }>;
    };
    // Packages with a nested package of another version, with package.json files that belong to no package, and with a
    // scope.
    const chosen = ['node_modules/commander', 'node_modules/tslib', 'node_modules/@nodable/entities'];
    const nested = Object.keys(lock.packages).find((key) => /^node_modules\/[^@/]+\/node_modules\/[^@/]+$/.test(key));
    expect(nested).toBeDefined();
    const parent = nested?.replace(/\/node_modules\/[^/]+$/, '') ?? '';
    const keys = [...chosen, parent];
    const entries = keys.flatMap((key) => filesBelow(key).map((path): Entry => [`app/${path}`, readFileSync(path)]));
    expect(entries.filter(([name]) => name.endsWith('/package.json')).length).toBeGreaterThan(keys.length);
    const expected = Object.entries(lock.packages)
      .filter(([key]) => keys.some((chosen) => key === chosen || key.startsWith(`${chosen}/`)))
      .map(([key, { version }]) => `${key.replace(/^.*node_modules\//, '')}@${version}`);
    const { document, gaps } = await sbomOf([await layerOf(...entries)]);
    const listed = document.components.map(({ group, name, version }) =>
      group === undefined ? `${name}@${version}` : `${group}/${name}@${version}`,
    );
    expect(listed.toSorted()).toEqual([...new Set(expected)].toSorted());
    expect(gaps).toEqual([]);
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative('.', join(entry.parentPath, entry.name)))
    .toSorted();
}
