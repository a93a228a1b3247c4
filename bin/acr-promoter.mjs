#!/usr/bin/env node
// The command, started under a Node that is new enough.
import { isNewEnough, runNode } from '../tools/node22.mjs';

// Bundled: it starts in less than half the time that loading the tree takes.
const main = new URL('../dist/bundle/acr-promoter.mjs', import.meta.url);
if (isNewEnough(process.versions.node)) await import(main.href);
else {
  const { fileURLToPath } = await import('node:url');
  runNode([fileURLToPath(main), ...process.argv.slice(2)]);
}
