import type { Command } from 'commander';
import { tagManifest } from '../../oras/index.js';
import { parseCount } from '../format.js';
import { addTargetOptions } from '../single-target.js';
import { openNamed } from '../named-target.js';
import { defineVerb, operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'tag',
  operands: '<name>{:<tag>|@<digest>} <new_tag> [...]',
  purpose: 'the artifact to be retagged and the tags to be added',
  count: 1,
  orMore: true,
  summary: 'Give a manifest more tags',
  examples: [
    ['Another tag', 'acr-promoter tag localhost:5000/hello:v1.0.1 v1.0.2'],
    ['Several', 'acr-promoter tag localhost:5000/hello:v1.0.1 v1.0.2 latest'],
    ['In an OCI image layout', 'acr-promoter tag --oci-layout layout-dir:v1.0.1 v1.0.2'],
  ],
};

export function addTag(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option('--concurrency <number>', 'requests at once', '5');
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const concurrency = parseCount(textOf(values, 'concurrency') ?? '', '--concurrency', 0) || 5;
    const [text, tags] = [operandAt(operands, 0), operands.slice(1)];
    const { repository, target, tagOrDigest } = await openNamed(session, VERB, text, values);
    await tagManifest(repository, tagOrDigest, tags, {
      concurrency,
      signal: io.signal,
      anyText: target.kind === 'oci-layout',
      onResolved: ({ digest }) => io.out(`Tagging [${target.kind}] ${repository.name}@${digest}\n`),
      onTagged: (tag) => io.out(`Tagged ${tag}\n`),
    });
  });
}
