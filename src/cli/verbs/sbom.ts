import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { sbomLine, sbomSummary, type SbomOfImage } from '../output/evidence-lines.js';
import type { Io } from '../io.js';
import { recordsIn, textIn } from '../output/job-output.js';
import { readNamed } from '../connection/named-target.js';
import { addFormatOptions, formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { addSigningOptions } from './signing-options.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../connection/single-target.js';
import { addTtyOption } from '../output/transfers.js';
import { nameOf } from '../connection/target.js';
import {
  defineVerb,
  operandAt,
  textOf,
  type JobResult,
  type Values,
  type VerbContext,
  type VerbDescription,
} from '../verb.js';

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
  const { attachSboms, writeSbom } = await import('../local/sboms.js');
  if (output !== undefined) return writeSbom(io, opened, output, values);
  const images = await attachSboms(io, opened, values, (line) => format.kind === 'text' && io.out(`${line}\n`));
  const { repository, target, root } = opened;
  io.out(formatSboms(format, images, { kind: target.kind, name: repository.name, digest: root.digest }));
}

function formatSboms(
  format: ResultFormat,
  images: readonly SbomOfImage[],
  { kind, name, digest }: { kind: string; name: string; digest: string },
): string {
  const reference = `${name}@${digest}`;
  if (format.kind !== 'text') return formatResult(format, { reference, digest, images });
  return sbomSummary(images, `[${kind}] ${reference}`, digest);
}

function imageIn(image: Record<string, unknown>): SbomOfImage {
  const { why, sbom, made } = image;
  return {
    digest: textIn(image, 'digest'),
    label: textIn(image, 'label'),
    ...(typeof why === 'string' && { why }),
    ...(typeof sbom === 'string' && { sbom, made: made === true }),
  };
}

/** SBOMs that the app has made. */
function printSboms(io: Io, operands: readonly string[], values: Values): (result: JobResult) => void {
  const format = resultFormat(values);
  const name = nameOf(readNamed(VERB, operandAt(operands, 0), values).target);
  return ({ output, digest = '' }) => {
    const images = recordsIn(output, 'images').map(imageIn);
    if (format.kind === 'text') io.out(images.map((image) => `${sbomLine(image)}\n`).join(''));
    io.out(formatSboms(format, images, { kind: 'registry', name, digest }));
  };
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
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    sbom(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare: (operands, values) => printSboms(io, operands, values),
  });
}
