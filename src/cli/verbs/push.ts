import type { Command } from 'commander';
import { InputError, isDigest } from '../../oci/index.js';
import { createFolderSource, parsePlatform, pushFiles, type Pushed } from '../../oras/index.js';
import { addArtifactOptions, exportManifest, readArtifactOptions } from './artifact-options.js';
import { offerValues } from '../completion/command-words.js';
import { connectionOf } from '../connection/connection.js';
import type { Io } from '../io.js';
import { describedIn, textsIn } from '../output/job-output.js';
import { describeResult, formatResult, resultFormat, type ResultFormat } from '../output/result.js';
import { readTarget } from '../connection/layout-options.js';
import type { Session } from '../connection/session.js';
import { addTargetOptions } from '../connection/single-target.js';
import type { Target } from '../connection/target.js';
import { withTransfers } from '../output/transfers.js';
import {
  defineVerb,
  operandAt,
  textOf,
  writtenOf,
  type Values,
  type VerbContext,
  type VerbDescription,
} from '../verb.js';

const VERB: VerbDescription = {
  path: 'push',
  operands: '<name>[:<tag>[,<tag>][...]] <file>[:<type>] [...]',
  purpose: 'the destination for pushing',
  count: 1,
  orMore: true,
  summary: 'Push files and folders as an artifact: the same files make the same digest',
  examples: [
    ['A file, with its media type', 'acr-promoter push localhost:5000/hello:v1 hi.txt:text/plain'],
    [
      'A file and a folder, under several tags',
      'acr-promoter push --artifact-type doc/example localhost:5000/hello:v1,latest hi.txt ./docs',
    ],
    ['A file with a colon in its name', 'acr-promoter push localhost:5000/hello:v1 hi:txt:'],
    [
      'With a config of its own',
      'acr-promoter push --config config.json:application/vnd.me.config localhost:5000/hello:v1 hi.txt',
    ],
    ['The digest alone', 'acr-promoter push --format go-template={{.digest}} localhost:5000/hello:v1 hi.txt'],
    [
      'Created at another time than 1970, which is what it says by default',
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
  return formatResult(format, { ...describeResult(name, pushed.descriptor), referenceAsTags });
}

async function push(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const target = readTarget(operandAt(operands, 0), values, { severalTags: true });
  const imageSpec = imageSpecOf(values);
  const platform = textOf(values, 'artifactPlatform');
  const { tagOrDigest, tags } = target;
  const { repository, pushed } = await withTransfers(
    io,
    values,
    { lines: format.kind === 'text' },
    async (transfers) => {
      const options = await readArtifactOptions(operands.slice(1), values, io, transfers);
      const opened = await session.open(target, connectionOf(values, ''), { create: true });
      const ports = { repository: opened.repository, files: createFolderSource() };
      const done = await pushFiles(ports, {
        ...options,
        tags,
        ...(tagOrDigest !== undefined && isDigest(tagOrDigest) && { digest: tagOrDigest }),
        ...(platform !== undefined && { platform: parsePlatform(platform, io.architecture) }),
        ...(imageSpec !== undefined && { imageSpec }),
        onProgress: (progress) => {
          // oras is silent where all that a registry lacks is the tag.
          const isManifest = progress.state === 'exists' && progress.descriptor.artifactType !== undefined;
          if (!(isManifest && target.kind === 'registry' && tags.length > 0)) options.onProgress?.(progress);
        },
      });
      return { repository: opened.repository, pushed: done };
    },
  );
  io.out(formatPushed(format, target, { name: repository.name, ...pushed }));
  await exportManifest(values, pushed.manifest);
}

export function addPush(parent: Command, context: VerbContext): void {
  const addOptions = (command: Command): void => {
    addArtifactOptions(command);
    command
      .option('--artifact-platform <os[/arch][/variant]>', 'give the artifact a config with this platform')
      .option('--image-spec <version>', 'v1.1 or v1.0; v1.0 where there is a --config and no --artifact-type');
    offerValues(command, '--image-spec', SPECS);
    command.option('--force', 'accepted for oras compatibility; no effect');
    addTargetOptions(command);
  };
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    push(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format', 'template'],
    prepare(operands, values) {
      const [format, target] = [
        resultFormat(values),
        readTarget(operandAt(operands, 0), values, { severalTags: true }),
      ];
      return ({ output }) =>
        io.out(formatPushed(format, target, { ...describedIn(output), tags: textsIn(output, 'tags') }));
    },
  });
}
