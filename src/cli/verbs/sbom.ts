import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import type { SbomPackage } from '../../sbom/index.js';
import { offerValues } from '../completion/complete.js';
import { readTarget } from '../connection/layout-options.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import { nameOf } from '../connection/target.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { distributionSpecOf, platformOf } from '../option-values.js';
import { sbomLine, sbomSummary, type SbomOfImage } from '../output/evidence-lines.js';
import { recordsIn, textIn } from '../output/read-job-output.js';
import { formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import { onTerminal } from '../output/status-line.js';
import { tableLines, tableStyleOf, type Column } from '../output/table.js';
import { addTtyOption } from '../output/transfers.js';
import { operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { addSbomDiff } from './sbom-diff.js';
import { addSigningOptions } from './signing-options.js';
import { refuseTogether } from '../errors.js';

const VERB: VerbDescription = {
  path: 'sbom',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the image to make SBOMs of',
  count: 1,
  summary: 'List the packages of an image, or write or attach its SBOM',
  examples: [
    ['The packages of an image', 'acr-promoter sbom myregistry.azurecr.io/samples/app:v1'],
    [
      'An SPDX document',
      'acr-promoter sbom --format spdx -o app.spdx.json --platform linux/amd64 localhost:5000/hello:v1',
    ],
    [
      'Attach a signed SBOM to every platform',
      'acr-promoter sbom --attach --signing-key key.pem --certificate-chain chain.pem myregistry.azurecr.io/samples/app:v1',
    ],
    [
      'An image beyond a limit of docs/reference/rules.md',
      `SBOM_LIMITS='{"entries":8000000}' acr-promoter sbom myregistry.azurecr.io/samples/large:v1`,
    ],
    [
      'Attach both formats, signed by the app',
      'acr-promoter sbom --submit --wait --format cyclonedx,spdx myregistry.azurecr.io/samples/app:v1',
    ],
  ],
};

function imageIn(image: Record<string, unknown>): SbomOfImage {
  const { why, sbom, made, sboms } = image;
  return {
    digest: textIn(image, 'digest'),
    label: textIn(image, 'label'),
    ...(typeof why === 'string' && { why }),
    ...(typeof sbom === 'string' && { sbom, made: made === true }),
    ...(Array.isArray(sboms) && { sboms }),
  };
}

const DOCUMENTS = ['cyclonedx', 'spdx'] as const;

/** What `--format` asks for. */
interface Asked {
  documents: (typeof DOCUMENTS)[number][];
  /** The format of the table, or of the result of `--attach`. */
  result: ResultFormat;
  isResultGiven: boolean;
}

/** @throws InputError `OPTION_INVALID`, `OPTIONS_EXCLUSIVE` */
function readFormats(values: Values): Asked {
  const text = textOf(values, 'format') ?? '';
  const names = text.startsWith('go-template') ? [text] : text.split(',').filter((name) => name !== '');
  const documents = DOCUMENTS.filter((name) => names.includes(name));
  const [result, ...more] = names.filter((name) => !documents.some((each) => each === name));
  if (more.length > 0 || (values.attach !== true && values.submit !== true && names.length > 1)) {
    throw new InputError('OPTION_INVALID', `too many formats: ${text}`, {
      remedy: 'Name one of table, json, cyclonedx, spdx; with --attach, also cyclonedx,spdx.',
    });
  }
  return {
    documents,
    result: resultFormat({ ...values, format: result }, { isTable: true, others: DOCUMENTS }),
    isResultGiven: result !== undefined,
  };
}

const COLUMNS: readonly Column<SbomPackage>[] = [
  { heading: 'TYPE', text: ({ type }) => type },
  { heading: 'NAME', text: ({ name }) => name, cut: 'end' },
  { heading: 'VERSION', text: ({ version }) => version, cut: 'end' },
  { heading: 'LICENCE', text: ({ licences }) => licences.join(', '), cut: 'end' },
  {
    heading: 'PLACE',
    text: ({ paths: [path = '', ...more] }) => path + (more.length > 0 ? ` +${more.length}` : ''),
    cut: 'start',
  },
];

/** `sbom` */
export function addSbom(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--attach', 'attach the SBOM to each image of the reference (default with --submit)')
      .option(
        '--format <format>',
        'table, json, cyclonedx or spdx (default table); with --attach, cyclonedx, spdx or both with a comma',
      )
      .option('--template <template>', 'the template of --format go-template')
      .option('-o, --output <path>', 'write the document (default cyclonedx) to this file; - for standard output');
    offerValues(command, '--format', ['table', 'json', 'go-template', ...DOCUMENTS]);
    addTtyOption(command);
    addPlatformOption(command);
    addSigningOptions(command);
    addTargetOptions(command);
  };
  const command = defineOperation(parent, context, VERB, addOptions, {
    operation: 'sbom',
    takes: ['distributionSpec', 'platform', 'attach'],
    shows: ['format', 'template'],
    resultFormat: (values) => readFormats(values).result,
    input: (operands, values) => {
      const { documents } = readFormats(values);
      return {
        reference: operandAt(operands, 0),
        ...platformOf(values, io),
        ...distributionSpecOf(values),
        ...(documents.length > 0 && { formats: documents }),
      };
    },
    async run(session, input, asked) {
      const { values } = asked;
      const { documents, result, isResultGiven } = readFormats(values);
      const output = textOf(values, 'output');
      const isAttached = values.attach === true;
      refuseTogether(values, 'output', 'attach');
      if (!isAttached && values.signingKey !== undefined) {
        throw new InputError('OPTIONS_EXCLUSIVE', '--signing-key signs an attached SBOM', { remedy: 'Add --attach.' });
      }
      if (output !== undefined && isResultGiven) {
        throw new InputError('OPTIONS_EXCLUSIVE', '--output writes a document: --format cyclonedx or spdx');
      }
      const open = (): ReturnType<typeof openNamed> => openNamed(session, VERB, asked);
      if (isAttached) {
        const opened = await open();
        // Loaded when it is needed: it is half of the program.
        const { attachSboms } = await import('../local/attach-sboms.js');
        const { said, ...attached } = await attachSboms(io, opened, input, values);
        for (const image of result.kind === 'text' ? recordsIn(attached.output, 'images').map(imageIn) : []) {
          io.out(`${sbomLine(image, said.get(image.label))}\n`);
        }
        return attached;
      }
      const local = await import('../local/sboms.js');
      const opened = await local.openForSbom(io, open);
      const [format] = documents;
      if (output !== undefined || format !== undefined) {
        await local.writeSbom(io, opened, { ...input, format: format ?? 'cyclonedx' }, output ?? '-', values);
        return undefined;
      }
      const { digest, packages, gaps, text } = await local.listPackages(io, opened, input, values);
      const reference = `${opened.repository.name}@${digest}`;
      if (result.kind === 'text') {
        // Names are shortened only on a terminal.
        const style = tableStyleOf(io, { ...values, wide: io.outColumns === undefined });
        io.out([...tableLines(COLUMNS, packages, style), '', onTerminal(text), ''].join('\n'));
      } else io.out(formatResult(result, { reference, digest, packages, gaps }));
      return undefined;
    },
    print({ output, job, digest = '' }, { operands, values, format }) {
      const target = readTarget(operandAt(operands, 0), values);
      const images = recordsIn(output, 'images').map(imageIn);
      const reference = `${nameOf(target)}@${digest}`;
      if (format.kind !== 'text') return io.out(formatResult(format, { reference, digest, images }));
      if (job !== undefined) io.out(images.map((image) => `${sbomLine(image)}\n`).join(''));
      return io.out(sbomSummary(images, `[${target.kind}] ${reference}`, digest));
    },
  });
  // Otherwise options after `diff` would be those of `sbom`.
  command.enablePositionalOptions();
  addSbomDiff(command, context);
}
