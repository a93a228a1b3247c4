import type { Command } from 'commander';
import { offerValues } from '../completion/complete.js';
import { run } from '../../operations/discover.js';
import {
  formatGoJson,
  formatTable,
  formatTree,
  toDiscoverJson,
  toManifestsJson,
  type ReferrerTree,
} from '../../oras/index.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import type { Io } from '../io.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { chooseFormat, distributionSpecOf, parseCount, platformOf, textsOf } from '../option-values.js';
import { describedIn, recordsIn, textIn } from '../output/read-job-output.js';
import { formatResult, resultFormat } from '../output/result.js';
import { addTtyOption } from '../output/transfers.js';
import { operandAt, writtenOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { refuseTogether } from '../errors.js';

const VERB: VerbDescription = {
  path: 'discover',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the target artifact to discover referrers from',
  count: 1,
  summary: 'Show the referrers of a manifest as a tree: SBOMs, signatures, signatures of SBOMs',
  examples: [
    ['The whole tree', 'acr-promoter discover localhost:5000/hello:v1'],
    ['Only direct referrers, as JSON', 'acr-promoter discover --format json --depth 1 localhost:5000/hello:v1'],
    [
      'Only signatures',
      'acr-promoter discover --artifact-type application/vnd.cncf.notary.signature localhost:5000/hello:v1',
    ],
    ['In an OCI image layout', 'acr-promoter discover --oci-layout layout-dir:v1'],
  ],
};

/** The text with its final newline, if it has one. */
type Format = (tree: ReferrerTree, asked: string) => string;

/** Prints oras's warnings about deprecated options. */
function warnDeprecated(io: Io, values: Values): void {
  const [output, format] = [writtenOf(values, 'output'), writtenOf(values, 'format')];
  if ((format ?? output) === 'table') io.err('Format "table" is deprecated and will be removed in a future release.\n');
  if (output !== undefined) io.err(`[DEPRECATED] --output is deprecated, try \`--format ${output}\` instead\n`);
}

/** `-o json` prints the form of oras before 1.3; `--format json` prints the current form. */
function readFormat(io: Io, values: Values): Format {
  const [output, wanted] = [writtenOf(values, 'output'), writtenOf(values, 'format')];
  refuseTogether(values, 'format', 'output');
  if (wanted?.startsWith('go-template') === true || values.template !== undefined) {
    const format = resultFormat(values);
    return (tree) => formatResult(format, toDiscoverJson(tree));
  }
  switch (chooseFormat(wanted ?? output ?? 'tree', ['tree', 'json', 'table'])) {
    case 'json':
      return (tree) => `${formatGoJson(output === undefined ? toDiscoverJson(tree) : toManifestsJson(tree), 2)}\n`;
    case 'table':
      return (tree, asked) => `${formatTable(tree, asked)}\n`;
    case 'tree':
      return (tree) => `${formatTree(tree, { colors: wantsColors(io, values) })}\n`;
  }
}

/** The tree in the JSON output. */
function treeIn(output: unknown): ReferrerTree {
  const { descriptor } = describedIn(output);
  return { reference: textIn(output, 'reference'), descriptor, referrers: recordsIn(output, 'referrers').map(treeIn) };
}

function wantsColors({ outColumns, env }: Io, values: Values): boolean {
  return outColumns !== undefined && values.tty !== false && (env.NO_COLOR ?? '') === '';
}

/** With `--submit` and without `--wait`, the job's output has the requested format. */
function formatOfJob(values: Values): 'json' | 'tree' | 'table' {
  if (values.submit !== true || values.wait === true) return 'json';
  return chooseFormat(writtenOf(values, 'format') ?? 'tree', ['tree', 'json', 'table']);
}

export function addDiscover(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--artifact-type <type>', 'only referrers of this type, on every level; may hide signatures of SBOMs')
      .option('--depth <levels>', 'levels to show, from 1 (default all)')
      .option('--format <format>', 'tree, json, table or go-template=<template>')
      .option('--template <template>', 'the template of --format go-template')
      .option('-o, --output <format>', 'deprecated: like --format, but with the JSON of oras before 1.3');
    offerValues(command, '--format', ['tree', 'json', 'table', 'go-template']);
    offerValues(command, '--output', ['tree', 'json', 'table']);
    addTtyOption(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'discover',
    takes: ['artifactType', 'depth', 'distributionSpec', 'format', 'platform'],
    shows: ['format', 'template', 'output'],
    resultFormat(values) {
      readFormat(io, values);
      return { kind: 'text' };
    },
    input(operands, values) {
      const levels = writtenOf(values, 'depth');
      return {
        reference: operandAt(operands, 0),
        format: formatOfJob(values),
        ...(levels !== undefined && { depth: parseCount(levels, '--depth', 1) }),
        ...textsOf(values, 'artifactType'),
        ...platformOf(values, io),
        ...distributionSpecOf(values),
      };
    },
    run: async (session, input, asked) => run(await openNamed(session, VERB, asked), input, undefined, io),
    print({ output }, { operands, values }) {
      warnDeprecated(io, values);
      io.out(readFormat(io, values)(treeIn(output), operandAt(operands, 0)));
    },
  });
}
