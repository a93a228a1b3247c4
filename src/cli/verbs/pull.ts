import type { Command } from 'commander';
import { run, type PullFiles } from '../../operations/pull.js';
import {
  createFolderSink,
  describeNode,
  parseFileReference,
  type Pulled,
  type PullProgress,
} from '../../oras/index.js';
import { addPlatformOption, addTargetOptions } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import { claimStage } from '../locks/left-pulls.js';
import { defineOperation, openNamed } from '../operation-verb.js';
import { concurrencyOf, flagsOf, parseCount, platformOf, textsOf } from '../option-values.js';
import { describedIn, recordIn, recordsIn, textIn, textsIn } from '../output/read-job-output.js';
import { addFormatOptions, formatResult } from '../output/result.js';
import { leftOutLine } from '../output/status-line.js';
import { addTtyOption, withTransfers, type Transfers } from '../output/transfers.js';
import { operandAt, textOf, writtenOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { readTarget } from '../connection/layout-options.js';

const VERB: VerbDescription = {
  path: 'pull',
  operands: '<name>{:<tag>|@<digest>}',
  purpose: 'the artifact reference you want to pull',
  count: 1,
  summary: 'Pull the files of an artifact: all or none',
  examples: [
    ['Into this folder', 'acr-promoter pull localhost:5000/hello:v1'],
    ['Into another folder', 'acr-promoter pull -o ./download localhost:5000/hello@sha256:…'],
    ['With the subject of the artifact', 'acr-promoter pull --include-subject localhost:5000/hello@sha256:…'],
    [
      'One platform, with its config',
      'acr-promoter pull --platform linux/arm64 --config config.json r.azurecr.io/hello:v1',
    ],
    [
      'Print the paths of the pulled files',
      "acr-promoter pull --format go-template='{{range .files}}{{println .path}}{{end}}' localhost:5000/hello:v1",
    ],
    ['From an OCI image layout', 'acr-promoter pull --oci-layout layout-dir:v1'],
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

/** Parses bytes, with an optional binary unit: `500M`, `20G`. */
function parseBytes(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([KMGT]?)$/i.exec(text) ?? [];
  const power = unit === '' ? 0 : 'KMGT'.indexOf(unit.toUpperCase()) + 1;
  return parseCount(digits, '--unpack-limit', 1) * 1024 ** power;
}

/** Pulls into a folder of this machine. */
function filesHere(values: Values): PullFiles {
  const config = textOf(values, 'config');
  const limit = writtenOf(values, 'unpackLimit');
  return {
    ...(config !== undefined && { config: parseFileReference(config) }),
    ...(limit !== undefined && { unpackLimitBytes: parseBytes(limit) }),
    async into({ output = '.', keepOldFiles = false }, work) {
      const allowOutside = values.allowPathTraversal === true;
      const sink = createFolderSink(output, { allowOutside, keepOldFiles, onStage: claimStage });
      return { pulled: await work(sink), place: (path) => ({ path }), kept: { leftOut: [] } };
    },
  };
}

export function addPull(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('-o, --output <folder>', 'folder to pull to (default .)')
      .option('-k, --keep-old-files', 'fail if a file exists already')
      .option('-T, --allow-path-traversal', 'accept file names that lead out of the folder')
      .option('--config <path[:type]>', 'also pull the config, under this name')
      .option('--include-subject', 'also pull the subject of the artifact')
      .option('--concurrency <number>', 'files at once (default 3)')
      .option('--unpack-limit <bytes>', 'maximum size of unpacked folders, such as 20G');
    addFormatOptions(command);
    addTtyOption(command);
    addPlatformOption(command);
    addTargetOptions(command);
  };
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'pull',
    takes: ['output', 'keepOldFiles', 'includeSubject', 'concurrency', 'platform'],
    shows: ['format', 'template'],
    input: (operands, values) => ({
      reference: operandAt(operands, 0),
      ...textsOf(values, 'output'),
      ...flagsOf(values, 'keepOldFiles', 'includeSubject'),
      ...platformOf(values, io),
      ...concurrencyOf(values),
    }),
    async run(session, input, asked) {
      const { values, format } = asked;
      const files = filesHere(values);
      const opened = await openNamed(session, VERB, asked);
      return withTransfers(io, values, { lines: format.kind === 'text' }, (transfers) =>
        run(opened, input, files, { signal: io.signal, event: (progress) => tell(transfers, progress) }),
      );
    },
    print({ output }, { operands, values, format }) {
      const { name, descriptor: root } = describedIn(output);
      for (const path of textsIn(output, 'leftOut')) io.err(leftOutLine(path));
      if (format.kind === 'text') {
        const target = readTarget(operandAt(operands, 0), values);
        io.out(summary({ root, skipped: recordIn(output).skipped === true }, target));
        return;
      }
      const files = recordsIn(output, 'layers').map((layer) => ({
        // The app pulls into its container `target`.
        path: 'blob' in layer ? `target/${textIn(layer, 'blob')}` : textIn(layer, 'path'),
        ...describeNode(textIn(layer, 'reference'), describedIn(layer).descriptor),
      }));
      io.out(formatResult(format, { reference: `${name}@${root.digest}`, files }));
    },
  });
}
