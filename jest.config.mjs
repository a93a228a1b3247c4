const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2023', parser: { syntax: 'typescript' }, experimental: { keepImportAttributes: true } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^acr-promoter/(.*)$': '<rootDir>/src/$1/index.ts',
    // Layers are read in the thread of the test.
    '^(.*/)?start-thread\\.js$': '<rootDir>/test/support/start-thread.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/out/'],
};
// The four kinds of test: what `npm test` runs needs no program but Node.
const project = (name) => ({ ...shared, displayName: name, testMatch: [`<rootDir>/test/${name}/**/*.test.ts`] });
export default {
  maxWorkers: '100%',
  testSequencer: '<rootDir>/test/support/slow-first.cjs',
  // Modules of test files that have ended stay in their worker's memory: one that has more than that is replaced.
  workerIdleMemoryLimit: '512MB',
  // Machines are shared: a test is no place to measure time.
  testTimeout: 30_000,
  projects: ['unit', 'interop', 'faults', 'bench'].map(project),
};
