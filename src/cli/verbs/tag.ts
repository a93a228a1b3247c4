import type { Command } from 'commander';
import { tagManifest } from '../../oras/index.js';
import { parseConcurrency } from '../option-values.js';
import { describedIn } from '../output/job-output.js';
import type { Session } from '../connection/session.js';
import { addTargetOptions } from '../connection/single-target.js';
import { openNamed } from '../connection/named-target.js';
import type { Target } from '../connection/target.js';
import { defineVerb, operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';

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
  const tellTagging = (kind: Target['kind'], reference: string): void => io.out(`Tagging [${kind}] ${reference}\n`);
  const tellTagged = (tag: string): void => io.out(`Tagged ${tag}\n`);
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const concurrency = parseConcurrency(values.concurrency, 5);
    const [text, tags] = [operandAt(operands, 0), operands.slice(1)];
    const { repository, target, tagOrDigest } = await openNamed(session, VERB, text, values, { write: true });
    await tagManifest(repository, tagOrDigest, tags, {
      concurrency,
      signal: io.signal,
      onResolved: ({ digest }) => tellTagging(target.kind, `${repository.name}@${digest}`),
      onTagged: tellTagged,
    });
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: [],
    prepare:
      ([, ...tags]) =>
      ({ output }) => {
        const { name, descriptor } = describedIn(output);
        tellTagging('registry', `${name}@${descriptor.digest}`);
        tags.forEach(tellTagged);
      },
  });
}
