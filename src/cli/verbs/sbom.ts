import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { readTarget } from '../connection/layout-options.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { nameOf } from '../connection/target.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { distributionSpecOf, platformOf } from '../option-values.js';
import { sbomLine, sbomSummary, type SbomOfImage } from '../output/evidence-lines.js';
import { recordsIn, textIn } from '../output/job-output.js';
import { addFormatOptions, formatResult, resultFormat } from '../output/result.js';
import { addTtyOption } from '../output/transfers.js';
import { operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';
import { addSigningOptions } from './signing-options.js';

const VERB: VerbDescription = {
  path: 'sbom',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the image to make SBOMs of',
  count: 1,
  summary: 'Attach an SBOM to each image of a reference; with -o, write it to a file instead',
  examples: [
    ['An SBOM for every platform of an image', 'acr-promoter sbom myregistry.azurecr.io/samples/app:v1'],
    [
      'With a signature',
      'acr-promoter sbom --signing-key key.pem --certificate-chain chain.pem myregistry.azurecr.io/samples/app:v1',
    ],
    ['Print the SBOM without attaching it', 'acr-promoter sbom -o - --platform linux/amd64 localhost:5000/hello:v1'],
    [
      'With a signature by the key of the app',
      'acr-promoter sbom --submit --wait myregistry.azurecr.io/samples/app:v1',
    ],
  ],
};

function imageIn(image: Record<string, unknown>): SbomOfImage {
  const { why, sbom, made } = image;
  return {
    digest: textIn(image, 'digest'),
    label: textIn(image, 'label'),
    ...(typeof why === 'string' && { why }),
    ...(typeof sbom === 'string' && { sbom, made: made === true }),
  };
}

/** `sbom` */
export function addSbom(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command.option(
      '-o, --output <path>',
      'write the CycloneDX document to this file, and attach nothing; - for standard output',
    );
    addFormatOptions(command);
    addTtyOption(command);
    addPlatformOption(command);
    addSigningOptions(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'sbom',
    takes: ['distributionSpec', 'platform'],
    shows: ['format', 'template'],
    input: (operands, values) => ({
      reference: operandAt(operands, 0),
      ...platformOf(values, io),
      ...distributionSpecOf(values),
    }),
    async run(session, input, asked) {
      const { values } = asked;
      const isText = resultFormat(values).kind === 'text';
      const output = textOf(values, 'output');
      if (output !== undefined && (!isText || values.signingKey !== undefined)) {
        throw new InputError(
          'OPTIONS_EXCLUSIVE',
          '--output writes the document itself, so --format and --signing-key cannot be used with it',
        );
      }
      const opened = await openNamed(session, VERB, asked);
      // Loaded when it is needed: it is half of the program.
      const { attachSboms, writeSbom } = await import('../local/sboms.js');
      if (output !== undefined) return writeSbom(io, opened, input, output, values);
      const { said, ...result } = await attachSboms(io, opened, input, values);
      for (const image of isText ? recordsIn(result.output, 'images').map(imageIn) : []) {
        io.out(`${sbomLine(image, said.get(image.label))}\n`);
      }
      return result;
    },
    print(operands, values) {
      const format = resultFormat(values);
      const target = readTarget(operandAt(operands, 0), values);
      return ({ output, job, digest = '' }) => {
        const images = recordsIn(output, 'images').map(imageIn);
        const reference = `${nameOf(target)}@${digest}`;
        if (format.kind !== 'text') return io.out(formatResult(format, { reference, digest, images }));
        if (job !== undefined) io.out(images.map((image) => `${sbomLine(image)}\n`).join(''));
        return io.out(sbomSummary(images, `[${target.kind}] ${reference}`, digest));
      };
    },
  });
}
