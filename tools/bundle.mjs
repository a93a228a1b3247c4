// Bundles the compiled command line, and the thread that reads layers: one file loads much faster than the whole tree.
// Part of npm run build; bin/acr-promoter.mjs starts the bundle.
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundleWorker } from './bundle-worker.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
await bundleWorker(join(root, 'dist'));

// An import of node:http loads all that it exports, and with it Node's own copy of undici: a tenth of the start.
const lazyHttp = {
  name: 'lazy-http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:http$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'lazy-http' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'lazy-http' }, ({ path }) => ({
      contents: `module.exports = require('${path}');`,
    }));
  },
};

// Undici loads everything that it exports, such as fetch and its mocks: a tenth of the start.
const onlyWhatIsUsed = {
  name: 'only-what-is-used',
  setup({ onLoad }) {
    onLoad({ filter: /node_modules[/\\]undici[/\\]index\.js$/ }, async ({ path }) => {
      const needed = 'Object.assign(Dispatcher.prototype, api)';
      if (!(await readFile(path, 'utf8')).includes(needed)) throw new Error(`${path} is not as expected`);
      const contents = `
        const Dispatcher = require('./lib/dispatcher/dispatcher');
        const api = require('./lib/api');
        ${needed};
        exports.Agent = require('./lib/dispatcher/agent');
        exports.ProxyAgent = require('./lib/dispatcher/proxy-agent');
        exports.buildConnector = require('./lib/core/connect');`;
      return { contents, resolveDir: dirname(path) };
    });
  },
};

// Chunks of an earlier build have other names and would stay.
await rm(join(root, 'dist/bundle'), { recursive: true, force: true });
await build({
  entryPoints: [join(root, 'dist/src/cli/main.js')],
  outdir: join(root, 'dist/bundle'),
  outExtension: { '.js': '.mjs' },
  entryNames: 'acr-promoter',
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  // Dynamic imports (Azure's sign-in) become files of their own.
  splitting: true,
  plugins: [lazyHttp, onlyWhatIsUsed],
  platform: 'node',
  format: 'esm',
  target: 'node22.22',
  minifySyntax: true,
  // The source is kept in memory.
  minifyWhitespace: true,
  keepNames: true,
  logLevel: 'warning',
  // CommonJS packages in the bundle call require for Node's own modules.
  banner: {
    js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
  },
});
