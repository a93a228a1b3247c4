import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OLDEST_NODE, checkNode } from '../../../src/oci/node-version.js';

const enginesOf = (path: string): unknown => {
  const { engines } = JSON.parse(readFileSync(path, 'utf8')) as { engines: { node: string } };
  return engines.node;
};

describe('the oldest supported Node', () => {
  test('matches undici and package.json', () => {
    expect(enginesOf(join('node_modules', 'undici', 'package.json'))).toBe(`>=${OLDEST_NODE}`);
    expect(enginesOf('package.json')).toBe(`>=${OLDEST_NODE}`);
  });

  test.each(['22.18.9', '20.20.2', '9.99.99'])('%s is too old', (version) => {
    expect(() => checkNode(version)).toThrow(expect.objectContaining({ code: 'NODE_TOO_OLD' }));
  });

  test.each(['22.19.0', '22.22.2', '22.20.0', '24.0.0', process.versions.node])('%s is new enough', (version) => {
    expect(() => checkNode(version)).not.toThrow();
  });
});
