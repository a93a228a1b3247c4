import { describe, expect, test } from '@jest/globals';
import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Path of a real program to test against, or undefined where there is none: what the variable of its name says (`ORAS`,
 * `DOCKER_REGISTRY`), then `bin` of `ACR_PROMOTER_PEERS` (default `.peers`), then PATH.
 */
export function findPeer(name: string): string | undefined {
  const said = process.env[name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')];
  if (said !== undefined && isProgram(said)) return said;
  const folders = [
    join(process.env['ACR_PROMOTER_PEERS'] ?? '.peers', 'bin'),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return folders.map((folder) => resolve(folder, name)).find(isProgram);
}

/**
 * `describe` where all of these programs are there. Without one of them the tests are skipped, but in CI (`CI` is set) its
 * absence is a failure.
 */
export function describeWithPeers(title: string, names: string[], tests: (paths: string[]) => void): void {
  const paths = names.map(findPeer).filter((path) => path !== undefined);
  if (paths.length === names.length) {
    describe(title, () => tests(paths));
    return;
  }
  const absent = names.filter((name) => findPeer(name) === undefined);
  if (process.env['CI'] === undefined) describe.skip(title, () => tests(names));
  else {
    describe(title, () => {
      test(`needs ${absent.join(', ')}`, () => expect(absent).toEqual([]));
    });
  }
}
