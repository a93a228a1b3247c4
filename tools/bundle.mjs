// Bundles the compiled command line into one file, which starts in a fraction of the time that loading the tree takes.
// Part of npm run build; bin/acr-promoter.mjs starts the bundle.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

await build({
  entryPoints: [join(root, 'dist/src/cli/main.js')],
  outfile: join(root, 'dist/bundle/acr-promoter.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.22',
  minifySyntax: true,
  keepNames: true,
  logLevel: 'warning',
  // CommonJS packages in the bundle ask for Node's own modules with require.
  banner: {
    js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
  },
});
