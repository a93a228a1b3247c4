import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import type { Io } from '../io.js';
import { addFormatOptions, formatResult, resultFormat } from '../result.js';
import type { Session } from '../session.js';
import { addSigningOptions } from '../signing-options.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../single-target.js';
import { addTtyOption } from '../transfers.js';
import { defineVerb, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'sbom',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the image to make SBOMs of',
  count: 1,
  summary: 'Make an SBOM of each image under a reference and attach it, or with -o write one to a file',
  examples: [
    ['For every platform, attached to each', 'acr-promoter sbom myregistry.azurecr.io/samples/app:v1'],
    [
      'Signed as well',
      'acr-promoter sbom --signing-key key.pem --certificate-chain chain.pem myregistry.azurecr.io/samples/app:v1',
    ],
    [
      'Onto standard output, with nothing attached',
      'acr-promoter sbom -o - --platform linux/amd64 localhost:5000/hello:v1',
    ],
    ['By the deployed app, with its key', 'acr-promoter sbom --submit --wait myregistry.azurecr.io/samples/app:v1'],
  ],
};

async function sbom(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const output = textOf(values, 'output');
  if (output !== undefined && (format.kind !== 'text' || values.signingKey !== undefined)) {
    throw new InputError(
      'OPTIONS_EXCLUSIVE',
      '--output writes the document itself: without --format and --signing-key',
    );
  }
  const opened = await resolveTarget(session, VERB, { operands, values, io });
  // Loaded by the verbs that need it: it is half of the program.
  const { attachSboms, writeSbom } = await import('../desk/sboms.js');
  if (output !== undefined) return writeSbom(io, opened, output, values);
  const images = await attachSboms(io, opened, values, (line) => format.kind === 'text' && io.out(`${line}\n`));
  const { repository, target, root } = opened;
  const { digest } = root;
  if (format.kind !== 'text')
    io.out(formatResult(format, { reference: `${repository.name}@${digest}`, digest, images }));
  else if (images.some((image) => image.sbom !== undefined)) {
    io.out(`Attached to [${target.kind}] ${repository.name}@${digest}\nDigest: ${digest}\n`);
  }
}

/** `sbom` */
export function addSbom(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    command.option(
      '-o, --output <path>',
      'write the CycloneDX document there (- for standard output), and attach nothing',
    );
    addFormatOptions(command);
    addTtyOption(command);
    addPlatformOption(command);
    addSigningOptions(command);
    addTargetOptions(command);
  };
  defineVerb(parent, context, VERB, addOptions, (session, operands, values) =>
    sbom(context.io, session, operands, values),
  );
}
