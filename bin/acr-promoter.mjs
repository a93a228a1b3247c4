#!/usr/bin/env node
// The command, started under a Node that is new enough.
import { isNewEnough, runNode } from '../tools/node22.mjs';

const main = new URL('../dist/src/cli/main.js', import.meta.url);
if (isNewEnough(process.versions.node)) await import(main.href);
else {
  const { fileURLToPath } = await import('node:url');
  runNode([fileURLToPath(main), ...process.argv.slice(2)]);
}
