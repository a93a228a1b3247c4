import type { Command } from 'commander';
import { signatureLine, signedSummary, type SignedManifest } from '../output/evidence-lines.js';
import type { Io } from '../io.js';
import { recordsIn, textIn } from '../output/job-output.js';
import { readNamed } from '../connection/named-target.js';
import { addFormatOptions, formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { addSigningOptions } from './signing-options.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../connection/single-target.js';
import { nameOf } from '../connection/target.js';
import { defineVerb, operandAt, type JobResult, type Values, type VerbContext, type VerbDescription } from '../verb.js';

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
  const { signTarget } = await import('../local/signatures.js');
  const signed = await signTarget(io, opened, values, (line) => format.kind === 'text' && io.out(`${line}\n`));
  const { repository, target, root } = opened;
  io.out(formatSigned(format, signed, { kind: target.kind, name: repository.name, digest: root.digest }));
}

function formatSigned(
  format: ResultFormat,
  signed: readonly SignedManifest[],
  { kind, name, digest }: { kind: string; name: string; digest: string },
): string {
  const reference = `${name}@${digest}`;
  return format.kind === 'text'
    ? signedSummary(`[${kind}] ${reference}`, digest)
    : formatResult(format, { reference, digest, signed });
}

/** What the app has signed, with its key. */
function printSigned(io: Io, operands: readonly string[], values: Values): (result: JobResult) => void {
  const format = resultFormat(values);
  const name = nameOf(readNamed(VERB, operandAt(operands, 0), values).target);
  return ({ output, digest = '' }) => {
    const signed = recordsIn(output, 'signed').map((entry) => ({
      digest: textIn(entry, 'digest'),
      label: textIn(entry, 'label'),
      signature: textIn(entry, 'signature'),
      made: entry.made === true,
    }));
    if (format.kind === 'text') io.out(signed.map((each) => `${signatureLine(each)}\n`).join(''));
    io.out(formatSigned(format, signed, { kind: 'registry', name, digest }));
  };
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
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    sign(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare: (operands, values) => printSigned(io, operands, values),
  });
}
