#!/usr/bin/env node
// The command, started under a Node that is new enough.
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { isNewEnough, runNode } from '../tools/node22.mjs';

// Bundled: it starts in less than half the time that loading the tree takes.
const main = new URL('../dist/bundle/acr-promoter.mjs', import.meta.url);
if (isNewEnough(process.versions.node)) {
  // What was compiled is kept beside the bundle, where only those can write who can change the bundle itself; a third of the start.
  module.enableCompileCache(fileURLToPath(new URL('compiled/', main)));
  await import(main.href);
} else {
  runNode([fileURLToPath(main), ...process.argv.slice(2)]);
}
