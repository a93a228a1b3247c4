import type { Command } from 'commander';
import { createFolderSink, parseFileReference, pullFiles, type Pulled, type PullProgress } from '../../oras/index.js';
import { parseConcurrency, parseCount } from '../option-values.js';
import type { Io } from '../io.js';
import { describedIn, recordIn, recordsIn, textIn, textsIn } from '../output/job-output.js';
import { addFormatOptions, describeResult, formatResult, resultFormat } from '../output/result.js';
import type { Session } from '../connection/session.js';
import { addPlatformOption, addTargetOptions, resolveTarget } from '../connection/single-target.js';
import { claimStage } from '../locks/left-pulls.js';
import { readNamed } from '../connection/named-target.js';
import { leftOutLine } from '../output/status-line.js';
import type { Target } from '../connection/target.js';
import { addTtyOption, withTransfers, type Transfers } from '../output/transfers.js';
import {
  defineVerb,
  operandAt,
  textOf,
  writtenOf,
  type JobResult,
  type Values,
  type VerbContext,
  type VerbDescription,
} from '../verb.js';

const VERB: VerbDescription = {
  path: 'pull',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the artifact reference you want to pull',
  count: 1,
  summary: 'Pull the files of an artifact, all of them or none',
  examples: [
    ['Into this folder', 'acr-promoter pull localhost:5000/hello:v1'],
    ['Into another', 'acr-promoter pull -o ./download localhost:5000/hello@sha256:…'],
    ['What it refers to as well', 'acr-promoter pull --include-subject localhost:5000/hello@sha256:…'],
    [
      'One platform, with its config',
      'acr-promoter pull --platform linux/arm64 --config config.json r.azurecr.io/hello:v1',
    ],
    [
      'The paths of what was pulled',
      "acr-promoter pull --format go-template='{{range .files}}{{println .path}}{{end}}' localhost:5000/hello:v1",
    ],
    ['Out of an OCI image layout', 'acr-promoter pull --oci-layout layout-dir:v1'],
  ],
};

const STATES = {
  downloading: 'Downloading',
  processing: 'Processing ',
  downloaded: 'Downloaded ',
  restored: 'Restored   ',
  skipped: 'Skipped    ',
} as const;

function tell(transfers: Transfers, progress: PullProgress): void {
  const { state, descriptor } = progress;
  if (state === 'moving') return transfers.move(descriptor, progress.moreBytes);
  const isEnd = state !== 'downloading' && state !== 'processing';
  return isEnd ? transfers.end(STATES[state], descriptor) : transfers.start(STATES[state], descriptor);
}

function summary({ root, skipped }: Pick<Pulled, 'root' | 'skipped'>, target: Target): string {
  if (!skipped) return `Pulled [${target.kind}] ${target.text}\nDigest: ${root.digest}\n`;
  return (
    'Skipped pulling layers without file name in "org.opencontainers.image.title"\n' +
    `Use 'acr-promoter copy ${target.text} --to-oci-layout <layout-dir>' to pull all layers.\n`
  );
}

async function pull(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const config = textOf(values, 'config');
  const limit = writtenOf(values, 'unpackLimit');
  const unpackLimitBytes = limit === undefined ? undefined : parseBytes(limit);
  const concurrency = parseConcurrency(values.concurrency, 3);
  const { repository, target, root } = await resolveTarget(session, VERB, { operands, values, io });
  const files = createFolderSink(textOf(values, 'output') ?? '.', {
    allowOutside: values.allowPathTraversal === true,
    keepOldFiles: values.keepOldFiles === true,
    onStage: claimStage,
  });
  const pulled = await withTransfers(io, values, { lines: format.kind === 'text' }, (transfers) =>
    pullFiles({ repository, files }, root, {
      concurrency,
      includeSubject: values.includeSubject === true,
      signal: io.signal,
      onProgress: (progress) => tell(transfers, progress),
      ...(config !== undefined && { config: parseFileReference(config) }),
      ...(unpackLimitBytes !== undefined && { unpackLimitBytes }),
    }),
  );
  const result = {
    reference: `${repository.name}@${pulled.root.digest}`,
    files: pulled.files.map(({ path, descriptor }) => ({ path, ...describeResult(repository.name, descriptor) })),
  };
  io.out(format.kind === 'text' ? summary(pulled, target) : formatResult(format, result));
}

/** A pull of the app's: its files are blobs of the container `target`. */
function printPulled(io: Io, operands: readonly string[], values: Values): (result: JobResult) => void {
  const format = resultFormat(values);
  const { target } = readNamed(VERB, operandAt(operands, 0), values);
  return ({ output }) => {
    const { name, descriptor: root } = describedIn(output);
    for (const path of textsIn(output, 'leftOut')) io.err(leftOutLine(path));
    if (format.kind === 'text') io.out(summary({ root, skipped: recordIn(output).skipped === true }, target));
    else {
      const files = recordsIn(output, 'layers').map((layer) => ({
        path: `target/${textIn(layer, 'blob')}`,
        ...describeResult(name, describedIn(layer).descriptor),
      }));
      io.out(formatResult(format, { reference: `${name}@${root.digest}`, files }));
    }
  };
}

/** Bytes, or with a unit to the base 1024: `500M`, `20G`. */
function parseBytes(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([KMGT]?)$/i.exec(text) ?? [];
  const power = unit === '' ? 0 : 'KMGT'.indexOf(unit.toUpperCase()) + 1;
  return parseCount(digits, '--unpack-limit', 1) * 1024 ** power;
}

export function addPull(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    command
      .option('-o, --output <folder>', 'folder to pull to', '.')
      .option('-k, --keep-old-files', 'refuse what is there already instead of replacing it')
      .option('-T, --allow-path-traversal', 'take names that lead out of the folder')
      .option('--config <path[:type]>', 'pull the config, too, under this name')
      .option('--include-subject', 'pull what the artifact refers to as well')
      .option('--concurrency <number>', 'files at once', '3')
      .option('--unpack-limit <bytes>', 'most bytes that a folder may unpack to, such as 20G');
    addFormatOptions(command);
    addTtyOption(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    pull(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare: (operands, values) => printPulled(io, operands, values),
  });
}
