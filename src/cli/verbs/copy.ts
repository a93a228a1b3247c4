import type { Command } from 'commander';
import { InputError, isDigest, type Descriptor } from '../../oci/index.js';
import { copyArtifact, formatGoJson, parsePlatform, type CopyReceipt } from '../../oras/index.js';
import { offerValues } from '../completion/command-words.js';
import { addConnectionOptions, addDebugOption, connectionOf } from '../connection/connection.js';
import { CopyLines } from '../output/copy-lines.js';
import { chooseFormat, parseConcurrency } from '../option-values.js';
import type { Io } from '../io.js';
import { answerInvalid } from '../output/job-output.js';
import { readTarget } from '../connection/layout-options.js';
import { formatLeftOut } from '../output/left-out.js';
import { collect } from '../repeated.js';
import type { OpenTarget, Session } from '../connection/session.js';
import { formatStatus } from '../output/status-line.js';
import { firstOf, type Target } from '../connection/target.js';
import { addTtyOption, withTransfers } from '../output/transfers.js';
import {
  defineVerb,
  noTagOrDigest,
  operandAt,
  textOf,
  type JobResult,
  type Values,
  type VerbContext,
  type VerbDescription,
} from '../verb.js';

const VERB: VerbDescription = {
  path: 'copy',
  operands: '<from>{:<tag>|@<digest>} <to>[:<tag>[,<tag>][...]]',
  purpose: 'the source and destination for copying',
  count: 2,
  summary: 'Copy an artifact, with all that refers to it, and see that it has arrived',
  aliases: ['cp'],
  examples: [
    [
      'From one registry to another, with SBOMs and signatures',
      'acr-promoter copy -r localhost:5000/hello:v1 localhost:6000/hello:v1',
    ],
    [
      'Within one registry, where nothing is moved but names',
      'acr-promoter copy -r r.azurecr.io/hello:v1 r.azurecr.io/staging/hello:v1',
    ],
    ['Under several tags', 'acr-promoter copy localhost:5000/hello:v1 localhost:6000/hello:v1,v1.2,latest'],
    [
      'Into an OCI image layout, and out of one',
      'acr-promoter copy -r --to-oci-layout localhost:5000/hello:v1 ./kept:v1\n    acr-promoter copy -r --from-oci-layout ./kept.tar:v1 localhost:6000/hello:v1',
    ],
    [
      'Layers that another repository there has are taken from it',
      'acr-promoter copy --mount-from base/debian localhost:5000/hello:v1 localhost:6000/hello:v1',
    ],
  ],
};

function addOptions(command: Command): void {
  command
    .option('-r, --recursive', 'also copy what refers to it, to its platforms, and to those')
    .option('--platform <os[/arch][/variant]>', 'copy this platform of an index')
    .option('--check-blobs', 'ask the destination for every layer, though it has the manifest')
    .option('--force', 'the same, in the word of oras')
    .option('--concurrency <number>', 'requests at once on each side', '32')
    .option('--mount-from <repository...>', 'repositories of the destination’s registry that may have layers of it')
    .option(
      '--exclude-artifact-type <type...>',
      'leave out referrers of these types, with what refers to them; by default Azure’s artifact streaming',
    )
    .option('--format <format>', 'text, or json for a receipt of all that was copied', 'text')
    .option('--from-oci-layout', 'the source is an OCI image layout')
    .option('--from-oci-layout-path <path>', 'the source is in the OCI image layout at this path')
    .option('--to-oci-layout', 'the destination is an OCI image layout')
    .option('--to-oci-layout-path <path>', 'the destination is in the OCI image layout at this path');
  offerValues(command, '--format', ['text', 'json']);
  addConnectionOptions(command, 'from');
  addConnectionOptions(command, 'to');
  command.option(
    '--resolve <host:port:address[:port]>',
    'IP address and port to reach a host of either registry at; repeatable',
    collect,
  );
  addDebugOption(command);
  addTtyOption(command);
}

function readTargets(operands: readonly string[], values: Values): [from: Target, to: Target] {
  return [
    readTarget(operandAt(operands, 0), values, { side: 'from' }),
    readTarget(operandAt(operands, 1), values, { side: 'to', severalTags: true }),
  ];
}

function listOf(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : undefined;
}

/** Blobs can be mounted from the source where it is in the destination's registry. */
function mountFrom(source: Target, destination: Target, values: Values): string[] {
  const told = listOf(values.mountFrom) ?? [];
  if (source.kind !== 'registry' || destination.kind !== 'registry') return told;
  const [from, to] = [source.reference, destination.reference];
  const sameRegistry = from.registry === to.registry && from.repository !== to.repository;
  return sameRegistry ? [from.repository, ...told] : told;
}

function summary(digest: string, from: Target, to: Target): string {
  const [, ...others] = to.tags;
  return [
    `Copied [${from.kind}] ${from.text} => [${to.kind}] ${firstOf(to)}`,
    ...others.map((tag) => `Tagged ${tag}`),
    `Digest: ${digest}`,
    '',
  ].join('\n');
}

function printReceipt(io: Io, format: 'text' | 'json', receipt: CopyReceipt, from: Target, to: Target): void {
  io.err(formatLeftOut(receipt.source, receipt.leftOut));
  const restored = receipt.arrival.restored.length;
  if (format === 'json') return io.out(`${formatGoJson(receipt, 2)}\n`);
  const mended = restored > 0 ? `Restored ${restored} referrers that the destination had lost\n` : '';
  return io.out(`${mended}${summary(receipt.root.digest, from, to)}`);
}

async function copy(io: Io, session: Session, operands: string[], values: Values): Promise<void> {
  const format = chooseFormat(values.format, ['text', 'json']);
  const [from, to] = readTargets(operands, values);
  if (from.tagOrDigest === undefined) throw noTagOrDigest(VERB, from.text);
  if (values.fromPasswordStdin === true && values.toPasswordStdin === true) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--from-password-stdin and --to-password-stdin exclude each other', {
      remedy: 'Sign one side in through a Docker config (--from-registry-config).',
    });
  }
  const concurrency = parseConcurrency(values.concurrency, 32);
  const asked = textOf(values, 'platform');
  const platform = asked === undefined ? undefined : parsePlatform(asked, io.architecture);
  const excludeArtifactTypes = listOf(values.excludeArtifactType);
  const source: OpenTarget = await session.open(from, connectionOf(values, 'from'));
  const destination: OpenTarget = await session.open(to, connectionOf(values, 'to'), { create: true });
  const { tagOrDigest } = from;
  const recursive = values.recursive === true;
  const receipt = await withTransfers(io, values, { lines: format === 'text' }, async (transfers) => {
    const lines = new CopyLines(transfers);
    const done = await copyArtifact(source.repository, tagOrDigest, destination.repository, {
      recursive,
      tags: to.tags,
      ...(to.tagOrDigest !== undefined && isDigest(to.tagOrDigest) && { digest: to.tagOrDigest }),
      ...(platform && { platform }),
      ...(excludeArtifactTypes && { excludeArtifactTypes }),
      mountFrom: mountFrom(from, to, values),
      concurrency,
      ...((values.checkBlobs === true || values.force === true) && { checkBlobs: true }),
      signal: io.signal,
      onPlanned: (plan) => lines.plan(plan),
      onProgress: (progress) => lines.tell(progress),
    });
    const isNamed = !recursive && to.kind === 'registry' && to.tagOrDigest !== undefined;
    lines.finish(isNamed ? done.root.digest : undefined);
    return done;
  });
  printReceipt(io, format, receipt, from, to);
}

/** A copy of the app's: the lines of what it moved, when it has. An app that is older than this keeps no receipt. */
function printCopied(io: Io, operands: readonly string[], values: Values): (result: JobResult) => Promise<void> {
  const format = chooseFormat(values.format, ['text', 'json']);
  const [from, to] = readTargets(operands, values);
  return async ({ digest = '', output }) => {
    if (output === undefined) {
      const short = { source: from.text, destination: to.text, root: { digest }, tags: to.tags };
      io.out(format === 'text' ? summary(digest, from, to) : `${formatGoJson(short, 2)}\n`);
      return;
    }
    const { receiptSchema } = await import('../../transfer/copy-report.js');
    const read = receiptSchema.safeParse(output);
    if (!read.success) throw answerInvalid(read.error);
    const { copied, mounted } = read.data.report;
    if (format === 'text') {
      for (const node of copied) io.out(formatStatus('Copied ', nodeOf(node)));
      for (const node of mounted) io.out(formatStatus('Mounted', nodeOf(node)));
    }
    printReceipt(io, format, read.data, from, to);
  };
}

function nodeOf({ title, ...node }: CopyReceipt['report']['copied'][number]): Descriptor {
  return { ...node, ...(title !== undefined && { annotations: { 'org.opencontainers.image.title': title } }) };
}

export function addCopy(parent: Command, context: VerbContext): void {
  const { io } = context;
  const work = (session: Session, operands: string[], values: Values): Promise<void> =>
    copy(io, session, operands, values);
  defineVerb(parent, context, VERB, addOptions, work, {
    options: ['format'],
    prepare: (operands, values) => printCopied(io, operands, values),
  });
}
