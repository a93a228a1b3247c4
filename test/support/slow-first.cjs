const { createRequire } = require('node:module');

// Jest starts large files first until it has seen how long each one takes. On a new machine that leaves short files that wait a minute
// for a timer to the end, when nothing else is left to run beside them.

/** Files of half a minute and more, the slowest first; then those of `npm test`. */
const SLOW = [
  'interop/trust',
  'faults/sbom-readers',
  'faults/cancel',
  'interop/package',
  'faults/promotion-kills',
  'faults/visibility',
  'interop/late-reads',
  'faults/outage',
  'faults/hostile-neighbour',
  'faults/promotion-chaos',
  'interop/oras-files',
  'faults/promotion-storm',
  'interop/promotion',
  'interop/hooks',
  'faults/host',
  'interop/attach-to',
  'faults/attach-storm',
  'faults/large-graphs',
  'unit/model/model',
  'unit/model/late',
  'unit/cli/locks/layout-lock',
  'unit/cli/locks/lock-file-lease',
  'unit/model/late-random',
  'unit/transfer/large-blobs',
  'unit/local/registry/events',
  'unit/schedule/scan-requests',
];

const place = ({ path }) => {
  const at = SLOW.findIndex((name) => path.endsWith(`/test/${name}.test.ts`));
  return at < 0 ? SLOW.length : at;
};

// Jest brings its sequencer along; a dependency of ours could be another version of it.
const { default: Sequencer } = createRequire(require.resolve('jest'))('@jest/test-sequencer');

module.exports = class SlowFirst extends Sequencer {
  sort(tests) {
    return super.sort(tests).toSorted((one, other) => place(one) - place(other));
  }
};
