import type { Command } from 'commander';
import { InputError, type Descriptor } from '../../oci/index.js';
import { run } from '../../operations/copy.js';
import { type CopyReceipt } from '../../oras/index.js';
import { offerValues } from '../completion/complete.js';
import { addConnectionOptions, addDebugOption, connectionOf } from '../connection/connection.js';
import { readTarget } from '../connection/layout-options.js';
import { firstOf, type Target } from '../connection/target.js';
import type { Io } from '../io.js';
import { defineOperation, openedOf } from '../operation-verb.js';
import { addConcurrencyOption, concurrencyOf, platformOf, listUnder } from '../option-values.js';
import { CopyLines } from '../output/copy-lines.js';
import { answerInvalid } from '../output/read-job-output.js';
import { formatLeftOut } from '../output/left-out.js';
import { formatStatus } from '../output/status-line.js';
import { addTtyOption, withTransfers } from '../output/transfers.js';
import { collect, listOf } from '../repeated.js';
import { noTagOrDigest, operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';
import { type ResultFormat, formatResult } from '../output/result.js';

const VERB: VerbDescription = {
  path: 'copy',
  operands: '<from>{:<tag>|@<digest>} <to>[:<tag>[,<tag>][...]]',
  purpose: 'the source and destination for copying',
  count: 2,
  summary: 'Copy an artifact, with its referrers, and verify that it has arrived',
  aliases: ['cp'],
  examples: [
    [
      'From one registry to another, with SBOMs and signatures',
      'acr-promoter copy -r localhost:5000/hello:v1 localhost:6000/hello:v1',
    ],
    [
      'Within one registry, where blobs are mounted',
      'acr-promoter copy -r r.azurecr.io/hello:v1 r.azurecr.io/staging/hello:v1',
    ],
    ['Under several tags', 'acr-promoter copy localhost:5000/hello:v1 localhost:6000/hello:v1,v1.2,latest'],
    [
      'To an OCI image layout, and from one',
      'acr-promoter copy -r --to-oci-layout localhost:5000/hello:v1 ./kept:v1\n    acr-promoter copy -r --from-oci-layout ./kept.tar:v1 localhost:6000/hello:v1',
    ],
    [
      'With layers mounted from another repository of the destination',
      'acr-promoter copy --mount-from base/debian localhost:5000/hello:v1 localhost:6000/hello:v1',
    ],
  ],
};

function addOptions(command: Command): void {
  command
    .option('-r, --recursive', 'also copy all referrers: of the manifest, of its platforms, and of referrers')
    .option('--platform <os[/arch][/variant]>', 'copy only this platform of an index')
    .option('--check-blobs', 'ask the destination for every layer, even if it has the manifest')
    .option('--force', 'the same as --check-blobs; oras uses this name');
  addConcurrencyOption(command, 'requests at once on each side (default 32)')
    .option('--mount-from <repository...>', 'repositories of the destination registry to mount layers from')
    .option(
      '--exclude-artifact-type <type...>',
      'do not copy referrers of these types, nor their own referrers (default Azure’s artifact streaming)',
    )
    .option('--format <format>', 'json for a receipt of the copy (default text)')
    .option('--from-oci-layout', 'the source is an OCI image layout')
    .option('--from-oci-layout-path <path>', 'the source is in the OCI image layout at this path')
    .option('--to-oci-layout', 'the destination is an OCI image layout')
    .option('--to-oci-layout-path <path>', 'the destination is in the OCI image layout at this path');
  offerValues(command, '--format', ['text', 'json']);
  addConnectionOptions(command, 'from');
  addConnectionOptions(command, 'to');
  command.option(
    '--resolve <host:port:address[:port]>',
    'connect to this IP address instead of resolving host:port of either registry; repeatable',
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

/** Blobs can be mounted from the source if both are in one registry. */
function mountFrom(source: Target, destination: Target, values: Values): string[] {
  const given = listOf(values.mountFrom);
  if (source.kind !== 'registry' || destination.kind !== 'registry') return given;
  const [from, to] = [source.reference, destination.reference];
  const sameRegistry = from.registry === to.registry && from.repository !== to.repository;
  return sameRegistry ? [from.repository, ...given] : given;
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

function printReceipt(io: Io, format: ResultFormat, receipt: CopyReceipt, from: Target, to: Target): void {
  io.err(formatLeftOut(receipt.source, receipt.leftOut));
  const restored = receipt.arrival.restored.length;
  if (format.kind !== 'text') return io.out(formatResult(format, receipt));
  const mended = restored > 0 ? `Restored ${restored} referrers that the destination had lost\n` : '';
  return io.out(`${mended}${summary(receipt.root.digest, from, to)}`);
}

function nodeOf({ title, ...node }: CopyReceipt['report']['copied'][number]): Descriptor {
  return { ...node, ...(title !== undefined && { annotations: { 'org.opencontainers.image.title': title } }) };
}

/** @throws InputError `OPTIONS_EXCLUSIVE`; UsageError */
function checkOptions(from: Target, values: Values): void {
  if (from.tagOrDigest === undefined) throw noTagOrDigest(VERB, from.text);
  if (values.fromPasswordStdin === true && values.toPasswordStdin === true) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--from-password-stdin and --to-password-stdin exclude each other', {
      remedy: 'Use a Docker config for one side (--from-registry-config).',
    });
  }
}

export function addCopy(parent: Command, context: VerbContext): void {
  const { io } = context;
  defineOperation(parent, context, VERB, addOptions, {
    operation: 'copy',
    takes: ['recursive', 'platform', 'excludeArtifactType'],
    shows: ['format'],
    input(operands, values) {
      const [from, to] = readTargets(operands, values);
      const [, ...others] = to.tags;
      return {
        source: from.text,
        destination: firstOf(to),
        // Without a tag, none is set. A job without `tags` would take the source's tag.
        ...((others.length > 0 || to.tagOrDigest === undefined) && { tags: others }),
        recursive: values.recursive === true,
        ...platformOf(values, io),
        ...listUnder('excludeArtifactTypes', listOf(values.excludeArtifactType)),
      };
    },
    async run(session, input, { operands, values, format }) {
      const [from, to] = readTargets(operands, values);
      checkOptions(from, values);
      const how = {
        ...concurrencyOf(values),
        mountFrom: mountFrom(from, to, values),
        ...((values.checkBlobs === true || values.force === true) && { checkBlobs: true }),
      };
      const source = openedOf(await session.open(from, connectionOf(values, 'from')));
      const destination = openedOf(await session.open(to, connectionOf(values, 'to'), { create: true }));
      return withTransfers(io, values, { lines: format.kind === 'text' }, async (transfers) => {
        const copyLines = new CopyLines(transfers);
        const done = await run({ ...how, source, destination }, input, undefined, {
          signal: io.signal,
          event: (event) => (event.state === 'planned' ? copyLines.plan(event.plan) : copyLines.tell(event)),
        });
        const isNamed = !input.recursive && to.kind === 'registry' && to.tagOrDigest !== undefined;
        copyLines.finish(isNamed ? done.output.root.digest : undefined);
        return done;
      });
    },
    async print({ output, job }, { operands, values, format }) {
      const [from, to] = readTargets(operands, values);
      if (job === undefined) return printReceipt(io, format, output, from, to);
      const { receiptSchema } = await import('../../transfer/run-documents.js');
      const read = receiptSchema.safeParse(output);
      if (!read.success) throw answerInvalid(read.error);
      const { copied, mounted } = read.data.report;
      if (format.kind === 'text') {
        for (const node of copied) io.out(formatStatus('Copied ', nodeOf(node)));
        for (const node of mounted) io.out(formatStatus('Mounted', nodeOf(node)));
      }
      return printReceipt(io, format, read.data, from, to);
    },
  });
}
