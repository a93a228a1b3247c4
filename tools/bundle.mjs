// Bundles the compiled command line, so that it starts in a fraction of the time that loading the tree takes.
// Part of npm run build; bin/acr-promoter.mjs starts the bundle.
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

// Parts of an earlier build have other names.
await rm(join(root, 'dist/bundle'), { recursive: true, force: true });
await build({
  entryPoints: [join(root, 'dist/src/cli/main.js')],
  outdir: join(root, 'dist/bundle'),
  outExtension: { '.js': '.mjs' },
  entryNames: 'acr-promoter',
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  // Finds its schemas beside itself, and plugs that may be there or not; only what makes SBOMs loads it.
  external: ['@cyclonedx/cyclonedx-library'],
  // What is imported when it is needed (Azure's sign-in) stays in a file of its own, which nobody else loads.
  splitting: true,
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
