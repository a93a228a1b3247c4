import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import {
  discoverTree,
  formatGoJson,
  formatTable,
  formatTree,
  parsePlatform,
  selectPlatform,
  toDiscoverJson,
  toManifestsJson,
  type ReferrerTree,
} from '../../oras/index.js';
import { chooseFormat, parseCount } from '../format.js';
import { addTargetOptions, openTagOrDigest } from '../single-target.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'discover',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the target artifact to discover referrers from',
  count: 1,
  summary: 'Show what refers to a manifest: SBOMs, signatures, and what refers to those',
  examples: [
    ['The whole tree', 'acr-promoter discover localhost:5000/hello:v1'],
    [
      'Only what refers to it directly, as JSON',
      'acr-promoter discover --format json --depth 1 localhost:5000/hello:v1',
    ],
    [
      'Only signatures',
      'acr-promoter discover --artifact-type application/vnd.cncf.notary.signature localhost:5000/hello:v1',
    ],
    ['In an OCI image layout', 'acr-promoter discover --oci-layout layout-dir:v1'],
  ],
};

/** `-o json` is the shape before 1.3, which scripts of then read; `--format json` the one since. */
function format(tree: ReferrerTree, asked: string, values: Values): string {
  const [output, wanted] = [textOf(values, 'output'), textOf(values, 'format')];
  if (output !== undefined && wanted !== undefined) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--format, --output cannot be used at the same time');
  }
  switch (chooseFormat(wanted ?? output ?? 'tree', ['tree', 'json', 'table'])) {
    case 'json':
      return formatGoJson(output === undefined ? toDiscoverJson(tree) : toManifestsJson(tree), 2);
    case 'table':
      return formatTable(tree, asked);
    case 'tree':
      return formatTree(tree);
  }
}

export function addDiscover(parent: Command, context: VerbContext): void {
  const { io } = context;
  const { signal } = io;
  const addOptions = (command: Command): void => {
    command
      .option('--artifact-type <type>', 'only referrers of this type, on every level: it can hide an SBOM’s signature')
      .option('--depth <levels>', 'levels to show, from 1; as it comes all')
      .option('--format <format>', 'tree, json or table')
      .option('-o, --output <format>', 'deprecated: the same, with the JSON of oras before 1.3')
      .option('--platform <os[/arch][/variant]>', 'choose this platform out of an index');
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const text = operandAt(operands, 0);
    const levels = textOf(values, 'depth');
    const depth = levels === undefined ? undefined : parseCount(levels, '--depth', 1);
    const { repository, tagOrDigest } = await openTagOrDigest(session, VERB, text, values);
    const named = await repository.resolve(tagOrDigest, { signal });
    const platform = textOf(values, 'platform');
    const root =
      platform === undefined
        ? named
        : await selectPlatform(repository, named, parsePlatform(platform, io.architecture), { signal });
    const artifactType = textOf(values, 'artifactType');
    const tree = await discoverTree(repository, root, {
      signal,
      ...(depth !== undefined && { depth }),
      ...(artifactType !== undefined && { artifactType }),
    });
    io.out(`${format(tree, text, values)}\n`);
  });
}
