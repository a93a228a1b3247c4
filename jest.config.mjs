const shared = {
  runtime: '<rootDir>/test/support/jest/runtime.mjs',
  testEnvironment: '<rootDir>/test/support/jest/environment.mjs',
  transform: {},
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/out/'],
};
// The four kinds of test: what `npm test` runs needs no program but Node.
const project = (name) => ({ ...shared, displayName: name, testMatch: [`<rootDir>/test/${name}/**/*.test.ts`] });
export default {
  maxWorkers: '100%',
  testSequencer: '<rootDir>/test/support/slow-first.cjs',
  // Machines are shared: a test is no place to measure time.
  testTimeout: 60_000,
  // On a busy machine, a process that has ended its work takes a while to exit.
  workerGracefulExitTimeout: 30_000,
  projects: ['unit', 'interop', 'faults', 'bench'].map(project),
};
