import type { Command } from 'commander';
import type { Io } from '../io.js';
import { addFormatOptions, formatResult, resultFormat } from '../result.js';
import type { Session } from '../session.js';
import { addSigningOptions } from '../signing-options.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../single-target.js';
import { defineVerb, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'sign',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the artifact to sign',
  count: 1,
  summary: 'Attach a Notary Project signature to a manifest, with a key of this machine or the app’s',
  examples: [
    [
      'With a key of this machine',
      'acr-promoter sign --signing-key key.pem --certificate-chain chain.pem localhost:5000/hello:v1',
    ],
    ['An index and all that it lists', 'acr-promoter sign -r myregistry.azurecr.io/samples/app:v1'],
    ['By the deployed app, with its key', 'acr-promoter sign -r --submit --wait myregistry.azurecr.io/samples/app:v1'],
  ],
};

async function sign(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const opened = await resolveTarget(session, VERB, { operands, values, io });
  const { signTarget } = await import('../desk/signatures.js');
  const signed = await signTarget(io, opened, values, (line) => format.kind === 'text' && io.out(`${line}\n`));
  const { repository, target, root } = opened;
  const { digest } = root;
  io.out(
    format.kind === 'text'
      ? `Signed [${target.kind}] ${repository.name}@${digest}\nDigest: ${digest}\n`
      : formatResult(format, { reference: `${repository.name}@${digest}`, digest, signed }),
  );
}

/** `sign` */
export function addSign(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    command.option('-r, --recursive', 'the manifests of an index too');
    addFormatOptions(command);
    addPlatformOption(command);
    addSigningOptions(command);
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, (session, operands, values) =>
    sign(context.io, session, operands, values),
  );
}
