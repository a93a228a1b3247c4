// Jest gives each test file a realm of its own and loads everything again in it: our modules, zod, Azure's libraries. For most files that
// takes longer than their tests. This runtime imports test files as Node does: the files of a process share modules, as in production.
import { createRequire, enableCompileCache, registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import '../typescript-loader.mjs';

// Jest brings its runtime along; a dependency of ours could be another version of it.
const require = createRequire(import.meta.url);
const { default: Runtime } = createRequire(require.resolve('jest'))('jest-runtime');

/** Where globals.mjs finds the functions of the file that runs. */
const CURRENT = Symbol.for('acr-promoter.jest');
/** Where jest-circus keeps its list of listeners. */
const LISTENERS = Symbol.for('EVENT_HANDLERS');

/** The name of the symbol under which it keeps the tests of a file. */
const STATE = 'JEST_STATE_SYMBOL';

/** What tests import instead. */
const REPLACED = {
  '@jest/globals': './globals.mjs',
  '@azure/functions': './azure-functions.mjs',
  'durable-functions': './durable-functions.mjs',
  // Layers are read in the thread of the test.
  './start-thread.js': '../start-thread.ts',
};

registerHooks({
  resolve(specifier, context, next) {
    const replaced = context.parentURL?.endsWith('.ts') ? REPLACED[specifier] : undefined;
    return next(replaced === undefined ? specifier : new URL(replaced, import.meta.url).href, context);
  },
});

// As property-runs.ts: a property without a number of its own is tried a fifth as often by default.
fc.configureGlobal({ numRuns: process.env.FULL === '1' ? 100 : 20 });

export default class SharedModules extends Runtime {
  constructor(config, ...options) {
    super(config, ...options);
    enableCompileCache(join(config.cacheDirectory, 'node'));
  }

  unstable_shouldLoadAsEsm() {
    return true;
  }

  async unstable_importModule(path) {
    globalThis[CURRENT] = this.jestGlobals.cjsGlobals(path);
    await import(pathToFileURL(path).href);
  }

  /** jest-circus keeps the tests of a file in its module: each file gets a new one, and the former one is forgotten. */
  requireInternalModule(path) {
    delete require.cache[path];
    delete globalThis[LISTENERS];
    for (const key of Object.getOwnPropertySymbols(globalThis)) {
      if (key.description === STATE) delete globalThis[key];
    }
    // Of its own: a `require` keeps the modules that it has loaded.
    return createRequire(import.meta.url)(path);
  }
}
