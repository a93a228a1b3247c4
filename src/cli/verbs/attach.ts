import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import { attachFiles, createFolderSource } from '../../oras/index.js';
import { addArtifactOptions, exportManifest, readArtifactOptions } from './artifact-options.js';
import { UsageError } from '../errors.js';
import type { Io } from '../io.js';
import { readTarget } from '../connection/layout-options.js';
import { describedIn, recordIn } from '../output/job-output.js';
import { describeResult, formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import { withTransfers } from '../output/transfers.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'attach',
  operands:
    '--artifact-type=<type> <name>{:<tag>|@<digest>} {<file>[:<layer_media_type>]|--annotation <key>=<value>} [...]',
  purpose: 'the destination artifact for attaching',
  count: 1,
  orMore: true,
  summary: 'Attach files to an artifact: the same files twice are attached once',
  examples: [
    ['A file to an image', 'acr-promoter attach --artifact-type doc/example localhost:5000/hello:v1 hi.txt'],
    [
      'A signature to an SBOM that is attached itself',
      'acr-promoter attach --artifact-type signature/example localhost:5000/hello@sha256:… signature.json:application/json',
    ],
    [
      'Annotations alone',
      'acr-promoter attach --artifact-type doc/example --annotation reviewed=yes localhost:5000/hello:v1',
    ],
    [
      'To one platform of an index',
      'acr-promoter attach --artifact-type doc/example --platform linux/amd64 localhost:5000/hello:v1 hi.txt',
    ],
    [
      'Where the registry has no referrers API',
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
  if (format.kind !== 'text') return formatResult(format, describeResult(name, descriptor));
  // What names the digest is repeated as it was written.
  const to = text.endsWith(subject.digest) ? text : `${name}@${subject.digest}`;
  return `Attached to [${kind}] ${to}\nDigest: ${descriptor.digest}\n`;
}

async function attach(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const artifactType = textOf(values, 'artifactType');
  if (artifactType === undefined) throw new InputError('OPTION_REQUIRED', 'required flag(s) "artifact-type" not set');
  const format = resultFormat(values);
  const attached = await withTransfers(io, values, { lines: format.kind === 'text' }, async (transfers) => {
    const options = await readArtifactOptions(operands.slice(1), values, io, transfers);
    if (options.files.length === 0 && Object.keys(options.annotations?.manifest ?? {}).length === 0) {
      throw nothingToAttach();
    }
    const opened = await resolveTarget(session, VERB, { operands, values, io, write: true });
    const ports = { repository: opened.repository, files: createFolderSource() };
    return { ...opened, ...(await attachFiles(ports, opened.root, { ...options, artifactType })) };
  });
  const { repository, target, subject, descriptor, manifest } = attached;
  io.out(formatAttached(format, target, { name: repository.name, subject, descriptor }));
  await exportManifest(values, manifest);
}

export function addAttach(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    addArtifactOptions(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    attach(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare(operands, values) {
      const format = resultFormat(values);
      const target = readTarget(operandAt(operands, 0), values);
      return ({ output }) => {
        const { descriptor: subject } = describedIn(recordIn(output).subject);
        io.out(formatAttached(format, target, { subject, ...describedIn(output) }));
      };
    },
  });
}
