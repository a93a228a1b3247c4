import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import { run } from '../../operations/attach.js';
import { describeNode } from '../../oras/index.js';
import { readTarget } from '../connection/layout-options.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import { UsageError } from '../errors.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { distributionSpecOf, platformOf } from '../option-values.js';
import { describedIn, recordIn } from '../output/read-job-output.js';
import { formatResult, type ResultFormat } from '../output/result.js';
import { withTransfers } from '../output/transfers.js';
import { operandAt, textOf, type VerbContext, type VerbDescription } from '../verb.js';
import {
  addArtifactOptions,
  CREATED,
  exportManifest,
  PACKING,
  packingFiles,
  packingInput,
  tellPush,
} from './artifact-options.js';

const VERB: VerbDescription = {
  path: 'attach',
  operands:
    '--artifact-type=<type> <name>{:<tag>|@<digest>} {<file>[:<layer_media_type>]|--annotation <key>=<value>} [...]',
  purpose: 'the destination artifact for attaching',
  count: 1,
  orMore: true,
  summary: 'Attach files to an artifact; attaching the same files again adds nothing',
  examples: [
    ['A file to an image', 'acr-promoter attach --artifact-type doc/example localhost:5000/hello:v1 hi.txt'],
    [
      'A signature to an attached SBOM',
      'acr-promoter attach --artifact-type signature/example localhost:5000/hello@sha256:… signature.json:application/json',
    ],
    [
      'Only annotations',
      'acr-promoter attach --artifact-type doc/example --annotation reviewed=yes localhost:5000/hello:v1',
    ],
    [
      'To one platform of an index',
      'acr-promoter attach --artifact-type doc/example --platform linux/amd64 localhost:5000/hello:v1 hi.txt',
    ],
    [
      'To a registry without the referrers API',
      'acr-promoter attach --artifact-type doc/example --distribution-spec v1.1-referrers-tag r.azurecr.io/hello:v1 hi.txt',
    ],
  ],
};

function nothingToAttach(): UsageError {
  return new UsageError('neither file nor annotation provided in the command', {
    usage: `acr-promoter attach [flags] ${VERB.operands}`,
    advice:
      'To attach to an existing artifact, please provide files via argument or annotations via flag "--annotation". Run "acr-promoter attach -h" for more options and examples',
  });
}

interface Result {
  name: string;
  subject: Descriptor;
  descriptor: Descriptor;
}

function formatAttached(format: ResultFormat, { kind, text }: Target, { name, subject, descriptor }: Result): string {
  if (format.kind !== 'text') return formatResult(format, describeNode(`${name}@${descriptor.digest}`, descriptor));
  // A reference with a digest is printed as it was written.
  const to = text.endsWith(subject.digest) ? text : `${name}@${subject.digest}`;
  return `Attached to [${kind}] ${to}\nDigest: ${descriptor.digest}\n`;
}

export function addAttach(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    addArtifactOptions(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'attach',
    takes: [...PACKING, 'distributionSpec', 'platform'],
    shows: ['format', 'template'],
    async input(operands, values) {
      const [reference = '', ...files] = operands;
      const artifactType = textOf(values, 'artifactType');
      if (artifactType === undefined) {
        throw new InputError('OPTION_REQUIRED', 'required flag(s) "artifact-type" not set', {
          remedy: 'Add --artifact-type TYPE/SUBTYPE.',
        });
      }
      const packing = await packingInput(files, values, io);
      const annotated = Object.keys(packing.annotations ?? {}).filter((name) => name !== CREATED);
      if (files.length === 0 && values.annotation === undefined && annotated.length === 0) {
        throw nothingToAttach();
      }
      return { reference, artifactType, ...platformOf(values, io), ...packing, ...distributionSpecOf(values) };
    },
    async run(session, input, asked) {
      const { values, format } = asked;
      const attached = await withTransfers(io, values, { lines: format.kind === 'text' }, async (transfers) =>
        run(await openNamed(session, VERB, asked, { write: true }), input, packingFiles(values, io), {
          signal: io.signal,
          event: (progress) => tellPush(transfers, progress),
        }),
      );
      await exportManifest(values, attached.manifest);
      return attached;
    },
    print({ output }, { operands, values, format }) {
      const target = readTarget(operandAt(operands, 0), values);
      const { descriptor: subject } = describedIn(recordIn(output).subject);
      io.out(formatAttached(format, target, { subject, ...describedIn(output) }));
    },
  });
}
