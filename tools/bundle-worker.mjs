import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

// No file of oci does anything when it is imported: what the thread does not use is left out, and with it undici.
const withoutUnused = {
  name: 'without-unused',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^\./ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === 'resolved') return undefined;
      return { ...(await resolve(path, { ...from, pluginData: 'resolved' })), sideEffects: false };
    });
  },
};

// The library loads the machine's rules of sorting, a tenth of the start, to sort the few ASCII names of qualifiers.
const COLLATOR = 'const { compare: localeCompare } = new Intl.Collator()';
const byCodeUnits = {
  name: 'by-code-units',
  setup({ onLoad }) {
    onLoad({ filter: /packageurl-js[/\\]src[/\\]strings\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes(COLLATOR)) throw new Error(`${path} sorts in another way than expected`);
      return { contents: text.replace(COLLATOR, 'const localeCompare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)') };
    });
  },
};

/**
 * Bundles the threads that unpack and read layers, without the parts of oci that they do not use. They start for each image.
 * @param dist the folder with the compiled sources
 */
export async function bundleWorker(dist) {
  await build({
    entryPoints: {
      'sbom-worker': join(dist, 'src/sbom/worker/main.js'),
      'sbom-unpacker': join(dist, 'src/sbom/worker/unpack-main.js'),
    },
    outdir: join(dist, 'bundle-worker'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    plugins: [withoutUnused, byCodeUnits],
    platform: 'node',
    format: 'esm',
    target: 'node22.22',
    minifySyntax: true,
    // The source is kept in memory.
    minifyWhitespace: true,
    // Names are not kept: that takes a call for each closure.
    logLevel: 'warning',
    logOverride: { 'ignored-bare-import': 'silent' },
    // CommonJS packages in the bundle call require for Node's own modules.
    banner: {
      js: "import { createRequire as bundleRequire } from 'node:module'; const require = bundleRequire(import.meta.url);",
    },
  });
}
