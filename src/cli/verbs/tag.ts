import type { Command } from 'commander';
import { run } from '../../operations/tag.js';
import { addTargetOptions } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import { defineOperation, openNamed, ownNames, readNamed, writtenNames } from '../operation-verb.js';
import { addConcurrencyOption, concurrencyOf } from '../option-values.js';
import { describedIn } from '../output/read-job-output.js';
import type { VerbContext, VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'tag',
  operands: '<name>{:<tag>|@<digest>} <new_tag> [...]',
  purpose: 'the artifact to be retagged and the tags to be added',
  count: 1,
  orMore: true,
  summary: 'Add tags to a manifest',
  examples: [
    ['Another tag', 'acr-promoter tag localhost:5000/hello:v1.0.1 v1.0.2'],
    ['Several tags', 'acr-promoter tag localhost:5000/hello:v1.0.1 v1.0.2 latest'],
    ['In an OCI image layout', 'acr-promoter tag --oci-layout layout-dir:v1.0.1 v1.0.2'],
  ],
};

export function addTag(parent: Command, context: VerbContext): void {
  const { io } = context;
  const { signal } = io;
  const addOptions = (command: Command): void => {
    addConcurrencyOption(command, 'requests at once (default 5)');
    addTargetOptions(command);
  };
  const printTagging = (kind: Target['kind'], reference: string): void => io.out(`Tagging [${kind}] ${reference}\n`);
  const printTagged = (tag: string): void => io.out(`Tagged ${tag}\n`);
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'tag',
    takes: ['concurrency'],
    input(operands, values) {
      const [reference = '', ...tags] = operands;
      const target = readNamed(VERB, reference, values);
      return { reference, tags: ownNames(target, tags), ...concurrencyOf(values) };
    },
    async run(session, input, asked) {
      const opened = await openNamed(session, VERB, asked, { write: true });
      const { kind } = opened.target;
      const written = writtenNames(opened.target, asked.operands.slice(1));
      return run(opened, input, undefined, {
        signal,
        event: (event) =>
          event.state === 'resolved'
            ? printTagging(kind, `${opened.repository.name}@${event.descriptor.digest}`)
            : printTagged(written(event.tag)),
      });
    },
    print({ output, job }, { operands: [, ...tags] }) {
      if (job === undefined) return;
      const { name, descriptor } = describedIn(output);
      printTagging('registry', `${name}@${descriptor.digest}`);
      tags.forEach(printTagged);
    },
  });
}
