import type { Command } from 'commander';
import { InputError, isDigest, type Descriptor, MANIFEST_BYTES } from '../../oci/index.js';
import { formatDescriptor, pushManifest } from '../../oras/index.js';
import { connectionOf } from '../connection/connection.js';
import { readOperand } from '../files.js';
import { parseConcurrency } from '../option-values.js';
import type { Io } from '../io.js';
import { describedIn, textsIn } from '../output/job-output.js';
import { readTarget } from '../connection/layout-options.js';
import type { Session } from '../connection/session.js';
import { addTargetOptions } from '../connection/single-target.js';
import { formatStatus } from '../output/status-line.js';
import { firstOf, type Target } from '../connection/target.js';
import { defineVerb, operandAt, textOf, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'manifest push',
  operands: '<name>[:<tag>[,<tag>][...]|@<digest>] <file>',
  purpose: 'the destination to push to and the file to read manifest content from',
  count: 2,
  summary: 'Push a manifest as it is, byte for byte',
  examples: [
    ['From a file', 'acr-promoter manifest push localhost:5000/hello:v1 manifest.json'],
    ['From standard input, under several tags', 'acr-promoter manifest push localhost:5000/hello:v1,latest -'],
    [
      'One that does not say its media type',
      'acr-promoter manifest push --media-type application/vnd.oci.image.manifest.v1+json localhost:5000/hello:v1 m.json',
    ],
    ['Print its descriptor', 'acr-promoter manifest push --descriptor localhost:5000/hello:v1 manifest.json'],
  ],
};

const STATES = { uploading: 'Uploading', uploaded: 'Uploaded ', exists: 'Exists   ' } as const;

/** @param others tags that were set besides the first */
function print(io: Io, values: Values, target: Target, descriptor: Descriptor, others: readonly string[]): void {
  if (values.descriptor === true) {
    io.out(values.pretty === true ? `${formatDescriptor(descriptor, 2)}\n` : formatDescriptor(descriptor));
    return;
  }
  const lines = others.map((tag) => `Tagged ${tag}\n`).join('');
  io.out(`Pushed: [${target.kind}] ${firstOf(target)}\n${lines}Digest: ${descriptor.digest}\n`);
}

export function addManifestPush(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => {
    command
      .option('--descriptor', 'print nothing but the descriptor')
      .option('--pretty', 'lay the JSON out for reading')
      .option('--media-type <type>', 'media type of the manifest; by default what it says itself')
      .option('--concurrency <number>', 'requests at once, where there are many tags', '5');
    addTargetOptions(command);
  };
  const work = async (session: Session, operands: string[], values: Values): Promise<void> => {
    const path = operandAt(operands, 1);
    const concurrency = parseConcurrency(values.concurrency, 5);
    const target = readTarget(operandAt(operands, 0), values, { severalTags: true });
    if (path === '-' && values.passwordStdin === true) {
      throw new InputError('OPTIONS_EXCLUSIVE', '`-` and `--password-stdin` cannot both read standard input');
    }
    const bytes = await readOperand(path, MANIFEST_BYTES, io);
    const { repository } = await session.open(target, connectionOf(values, ''), { create: true });
    const mediaType = textOf(values, 'mediaType');
    const { tagOrDigest, tags } = target;
    const others: string[] = [];
    const isQuiet = values.descriptor === true;
    const descriptor = await pushManifest(repository, bytes, {
      tags,
      concurrency,
      signal: io.signal,
      ...(mediaType !== undefined && { mediaType }),
      ...(tagOrDigest !== undefined && isDigest(tagOrDigest) && { digest: tagOrDigest }),
      onProgress: (progress) => !isQuiet && io.out(formatStatus(STATES[progress.state], progress.descriptor)),
      onTagged: (tag) => others.push(tag),
    });
    print(io, values, target, descriptor, others);
  };
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['descriptor', 'pretty'],
    prepare(operands, values) {
      const target = readTarget(operandAt(operands, 0), values, { severalTags: true });
      return ({ output }) => {
        const [, ...others] = textsIn(output, 'tags');
        print(io, values, target, describedIn(output).descriptor, others);
      };
    },
  });
}
