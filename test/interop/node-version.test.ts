import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

/** Loads a file under a Node that says it is another version. */
function loadUnder(version: string, path: string): { stderr: string; stdout: string } {
  const pretend = `Object.defineProperty(process.versions, 'node', { value: '${version}' });`;
  const { stderr, stdout } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, '--input-type=module'],
    { encoding: 'utf8', input: `await import(${JSON.stringify(pathToFileURL(path).href)}); console.log('loaded');` },
  );
  return { stderr, stdout };
}

test.each(['dist/src/oci/index.js', 'dist/src/oras/index.js', 'dist/src/cli/main.js', 'dist/src/main.js'])(
  '%s says that Node is too old, before undici fails without a reason',
  (path) => {
    const { stderr } = loadUnder('22.18.0', path);
    expect(stderr).toContain('NODE_TOO_OLD');
    expect(stderr).toContain('22.19.0');
  },
);

test('under an old Node the app is registered, and health and status report the version', () => {
  expect(loadUnder('20.20.2', 'dist/src/main.js').stdout).toContain('loaded');
});

test('under a Node that is new enough nothing is reported', () => {
  expect(loadUnder('22.19.0', 'dist/src/oci/index.js')).toEqual({ stderr: '', stdout: 'loaded\n' });
});
