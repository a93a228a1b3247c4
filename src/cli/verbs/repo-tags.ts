import type { Command } from 'commander';
import { listTags } from '../../oras/index.js';
import { textsIn } from '../output/job-output.js';
import { addTargetOptions, openTarget } from '../connection/single-target.js';
import { addFormatOptions, formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'repo tags',
  operands: '<name>[:<tag>|@<digest>]',
  purpose: 'the target repository to list tags from',
  count: 1,
  summary: 'List the tags of a repository',
  aliases: ['show-tags'],
  examples: [
    ['All tags', 'acr-promoter repo tags localhost:5000/hello'],
    ['Tags that lead to the same manifest as this one', 'acr-promoter repo tags localhost:5000/hello:v1'],
    ['Tags of an OCI image layout', 'acr-promoter repo tags --oci-layout layout-dir'],
  ],
};

export function addRepoTags(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--last <tag>', 'start after this tag, in the order of bytes')
      .option('--exclude-digest-tags', 'leave out tags that only name a digest (sha256-…)');
    addFormatOptions(command);
    addTargetOptions(command);
  };
  const print = (format: ResultFormat, tags: string[]): void =>
    io.out(format.kind === 'text' ? tags.map((tag) => `${tag}\n`).join('') : formatResult(format, { tags }));
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const format = resultFormat(values);
    const { repository, target } = await openTarget(session, operandAt(operands, 0), values);
    const last = textOf(values, 'last');
    const { tagOrDigest } = target;
    const tags = await listTags(repository, {
      signal: io.signal,
      excludeDigestTags: values.excludeDigestTags === true,
      ...(last !== undefined && { last }),
      // Only an OCI layout's path may end here without naming a tag or digest of it.
      ...(tagOrDigest !== undefined && {
        digest: (await repository.resolve(tagOrDigest, { signal: io.signal })).digest,
      }),
    });
    print(format, tags);
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare(_operands, values) {
      const format = resultFormat(values);
      return ({ output }) => print(format, textsIn(output, 'tags'));
    },
  });
}
