#!/usr/bin/env node
// Stands in for the Azure Developer CLI, as far as it runs hooks: as its source does on POSIX (Azure/azure-dev, cli/azd/pkg/ext and
// pkg/tools/bash), the inline script is written into a file that sh starts in the project's folder, with the values of the
// environment. Whatever else it is asked it refuses. FAKE_AZD: {values}, what `azd env get-values` would print.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

const HOOK_KEYS = ['posix', 'windows'];
const SCRIPT_KEYS = ['shell', 'run', 'interactive', 'continueOnError'];

function refuse(message) {
  process.stderr.write(`ERROR: ${message}\n`);
  process.exit(1);
}

function hookOf(name) {
  const { hooks } = parse(readFileSync('azure.yaml', 'utf8'));
  const hook = hooks?.[name];
  if (hook === undefined) refuse(`the hook '${name}' was not found`);
  for (const key of Object.keys(hook)) if (!HOOK_KEYS.includes(key)) refuse(`hook ${name}: ${key}`);
  const { posix } = hook;
  for (const key of Object.keys(posix)) if (!SCRIPT_KEYS.includes(key)) refuse(`hook ${name}: ${key}`);
  if (posix.shell !== 'sh' || typeof posix.run !== 'string') refuse(`hook ${name}: not an inline script of sh`);
  return posix;
}

const [verb, action, name, ...more] = process.argv.slice(2);
if (verb !== 'hooks' || action !== 'run' || name === undefined || more.length > 0) {
  refuse(`unknown command "${process.argv.slice(2).join(' ')}" for "azd"`);
}
const { run } = hookOf(name);
const folder = mkdtempSync(join(tmpdir(), 'azd-hook-'));
const script = join(folder, `azd-${name}.sh`);
writeFileSync(script, `#!/bin/sh\nset -e\n\n# Auto generated file from Azure Developer CLI\n${run}\n`, { mode: 0o700 });
const { values } = JSON.parse(process.env.FAKE_AZD);
const { status } = spawnSync(script, [], {
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, ...values },
});
rmSync(folder, { recursive: true });
if (status !== 0) refuse(`'${name}' hook failed with exit code: '${status}'`);
