import type { Command } from 'commander';
import { InputError } from '../../oci/index.js';
import { run } from '../../operations/push.js';
import { describeNode, type Pushed } from '../../oras/index.js';
import { offerValues } from '../completion/complete.js';
import { readTarget } from '../connection/layout-options.js';
import { addTargetOptions } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import { defineOperation, openOperand, severalTags } from '../operation-verb.js';
import { fullPlatform, textsOf } from '../option-values.js';
import { describedIn, textsIn } from '../output/read-job-output.js';
import { formatResult, type ResultFormat } from '../output/result.js';
import { withTransfers } from '../output/transfers.js';
import { operandAt, textOf, writtenOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import {
  addArtifactOptions,
  exportManifest,
  PACKING,
  packingFiles,
  packingInput,
  tellPush,
} from './artifact-options.js';

const VERB: VerbDescription = {
  path: 'push',
  operands: '<name>[:<tag>[,<tag>][...]] <file>[:<type>] [...]',
  purpose: 'the destination for pushing',
  count: 1,
  orMore: true,
  summary: 'Push files and folders as an artifact; the same files make the same digest',
  examples: [
    ['A file, with its media type', 'acr-promoter push localhost:5000/hello:v1 hi.txt:text/plain'],
    [
      'A file and a folder, under several tags',
      'acr-promoter push --artifact-type doc/example localhost:5000/hello:v1,latest hi.txt ./docs',
    ],
    ['A file with a colon in its name', 'acr-promoter push localhost:5000/hello:v1 hi:txt:'],
    [
      'With a config file',
      'acr-promoter push --config config.json:application/vnd.me.config localhost:5000/hello:v1 hi.txt',
    ],
    ['Print only the digest', 'acr-promoter push --format go-template={{.digest}} localhost:5000/hello:v1 hi.txt'],
    [
      'With another creation time than 1970',
      'SOURCE_DATE_EPOCH=1767225600 acr-promoter push localhost:5000/hello:v1 hi.txt',
    ],
    ['Into an OCI image layout', 'acr-promoter push --oci-layout layout-dir:v1 hi.txt'],
  ],
};

const SPECS = ['v1.0', 'v1.1'] as const;

function imageSpecOf(values: Values): (typeof SPECS)[number] | undefined {
  const asked = writtenOf(values, 'imageSpec');
  const spec = SPECS.find((candidate) => candidate === asked);
  if (asked === undefined || spec !== undefined) return spec;
  throw new InputError('OPTION_INVALID', `unknown image specification flag: ${asked}`, {
    remedy: 'Available options: v1.1, v1.0',
  });
}

function summary({ descriptor, tags }: Pick<Pushed, 'descriptor' | 'tags'>, target: Target): string {
  const [, ...others] = tags;
  const first = others.length === 0 ? target.text : target.text.slice(0, target.text.indexOf(','));
  return [
    `Pushed [${target.kind}] ${first}`,
    ...others.map((tag) => `Tagged ${tag}`),
    `ArtifactType: ${descriptor.artifactType ?? ''}`,
    `Digest: ${descriptor.digest}`,
    '',
  ].join('\n');
}

type Result = Pick<Pushed, 'descriptor' | 'tags'> & { name: string };

function formatPushed(format: ResultFormat, target: Target, { name, ...pushed }: Result): string {
  if (format.kind === 'text') return summary(pushed, target);
  const referenceAsTags = pushed.tags.toSorted().map((tag) => `${name}:${tag}`);
  return formatResult(format, {
    ...describeNode(`${name}@${pushed.descriptor.digest}`, pushed.descriptor),
    referenceAsTags,
  });
}

export function addPush(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    addArtifactOptions(command);
    command
      .option('--artifact-platform <os[/arch][/variant]>', 'add a config with this platform')
      .option('--image-spec <version>', 'v1.1 or v1.0 (default v1.1; v1.0 with --config and no --artifact-type)');
    offerValues(command, '--image-spec', SPECS);
    command.option('--force', 'accepted for oras compatibility; no effect');
    addTargetOptions(command);
  };
  const targetOf = (operands: readonly string[], values: Values): Target =>
    readTarget(operandAt(operands, 0), values, { severalTags: true });
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'push',
    takes: [...PACKING, 'artifactPlatform', 'imageSpec', 'force'],
    shows: ['format', 'template'],
    async input(operands, values) {
      const platform = textOf(values, 'artifactPlatform');
      const imageSpec = imageSpecOf(values);
      return {
        ...severalTags(targetOf(operands, values)),
        ...textsOf(values, 'artifactType'),
        ...(platform !== undefined && { artifactPlatform: fullPlatform(platform, io) }),
        ...(imageSpec !== undefined && { imageSpec }),
        ...(await packingInput(operands.slice(1), values, io)),
      };
    },
    async run(session, input, { operands, values, format }) {
      const pushed = await withTransfers(io, values, { lines: format.kind === 'text' }, async (transfers) => {
        const opened = await openOperand(session, operands, values, { create: true, severalTags: true });
        const { kind, tags } = opened.target;
        return run(opened, input, packingFiles(values, io), {
          signal: io.signal,
          event(progress) {
            // As in oras, nothing is printed if the registry has the manifest and only the tag is new.
            const isManifest = progress.state === 'exists' && progress.descriptor.artifactType !== undefined;
            if (!(isManifest && kind === 'registry' && tags.length > 0)) tellPush(transfers, progress);
          },
        });
      });
      await exportManifest(values, pushed.manifest);
      return pushed;
    },
    print({ output }, { operands, values, format }) {
      const pushed = { ...describedIn(output), tags: textsIn(output, 'tags') };
      io.out(formatPushed(format, targetOf(operands, values), pushed));
    },
  });
}
