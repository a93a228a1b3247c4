import type { Command } from 'commander';
import { parsePlatform, selectPlatform } from '../../oras/index.js';
import { addTargetOptions, openTagOrDigest } from '../single-target.js';
import { defineVerb, operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'resolve',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the target artifact to resolve',
  count: 1,
  summary: 'Resolve a tag to its digest',
  aliases: ['digest'],
  examples: [
    ['The digest of an artifact', 'acr-promoter resolve localhost:5000/hello:v1'],
    ['The digest of one platform of it', 'acr-promoter resolve --platform linux/arm64 localhost:5000/hello:v1'],
  ],
};

export function addResolve(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('-l, --full-reference', 'print the full reference with the digest')
      .option('--platform <os[/arch][/variant]>', 'choose this platform out of an index');
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, async (session, operands, values) => {
    const text = operandAt(operands, 0);
    const { repository, tagOrDigest } = await openTagOrDigest(session, VERB, text, values);
    const named = await repository.resolve(tagOrDigest, { signal: io.signal });
    const platform = textOf(values, 'platform');
    const { digest } =
      platform === undefined
        ? named
        : await selectPlatform(repository, named, parsePlatform(platform, io.architecture), { signal: io.signal });
    io.out(values.fullReference === true ? `${repository.name}@${digest}\n` : `${digest}\n`);
  });
}
