import type { Command } from 'commander';
import { describedIn } from '../output/job-output.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../connection/single-target.js';
import type { Session } from '../connection/session.js';
import { defineVerb, type Values, type VerbContext, type VerbDescription } from '../verb.js';

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
    command.option('-l, --full-reference', 'print the full reference with the digest');
    addPlatformOption(command);
    addTargetOptions(command);
  };
  const print = (name: string, digest: string, values: Values): void =>
    io.out(values.fullReference === true ? `${name}@${digest}\n` : `${digest}\n`);
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const { repository, root } = await resolveTarget(session, VERB, { operands, values, io });
    print(repository.name, root.digest, values);
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['fullReference'],
    prepare:
      (_operands, values) =>
      ({ output }) => {
        const { name, descriptor } = describedIn(output);
        print(name, descriptor.digest, values);
      },
  });
}
