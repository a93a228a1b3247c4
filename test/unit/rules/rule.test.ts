import { describe, expect, test } from '@jest/globals';
import { fingerprint, scanFingerprint } from '../../../src/rules/rule.js';
import { rule } from '../../support/rules.fixture.js';

const before = rule();
const { registry } = before.source;

describe('fingerprints', () => {
  test.each([
    ['mode', { mode: 'observe' }],
    ['evidence', { verify: { signatures: [{ format: 'notary', trustStore: 'x' }] } }],
    ['SBOM', { sbom: { formats: [] } }],
    ['signatures', { sign: [] }],
    ['attachTo', { attachTo: 'destination' }],
    ['referrers', { referrers: { excludeArtifactTypes: ['x/y'] } }],
    ['destination', { destination: { reference: `${registry}/elsewhere/{repository}:{tag}` } }],
  ])('another %s changes the fingerprint', (_name, changes) => {
    expect(fingerprint(rule(changes))).not.toBe(fingerprint(before));
    expect(scanFingerprint(rule(changes))).not.toBe(scanFingerprint(before));
  });

  test.each([
    ['deadline', { deadline: '1h' }],
    ['list of triggers', { triggers: ['schedule'] }],
  ])('another %s changes neither the fingerprint nor the scan fingerprint', (_name, changes) => {
    expect(fingerprint(rule(changes))).toBe(fingerprint(before));
    expect(scanFingerprint(rule(changes))).toBe(scanFingerprint(before));
  });

  test.each([
    ['source', { source: { registry, repositories: ['samples/**', 'more/**'] } }],
    ['existing', { existing: before.existing === 'ignore' ? 'promote' : 'ignore' }],
  ])('another %s changes only the scan fingerprint', (_name, changes) => {
    expect(fingerprint(rule(changes))).toBe(fingerprint(before));
    expect(scanFingerprint(rule(changes))).not.toBe(scanFingerprint(before));
  });
});
