import type { Command } from 'commander';
import { isDigest } from '../../oci/index.js';
import type { IndexFiles } from '../../operations/manifest-index-create.js';
import { indentJson, type IndexProgress } from '../../oras/index.js';
import { writeOutput } from '../files.js';
import type { Io } from '../io.js';
import { describedIn } from '../output/read-job-output.js';
import { listOf } from '../repeated.js';
import { addTargetOptions } from '../connection/single-target.js';
import { formatStatus, onTerminal, typedOnTerminal } from '../output/status-line.js';
import { firstOf, type Target } from '../connection/target.js';
import { writtenNames, type OperationVerb } from '../operation-verb.js';
import { textOf, type Values, operandAt } from '../verb.js';
import { readTarget } from '../connection/layout-options.js';

/** The options that making and changing an index have in common. */
export function addIndexOptions(command: Command): void {
  command
    .option('--artifact-type <type>', 'artifact type of the index')
    .option('-o, --output <path>', 'write the index to this file and push nothing; - for standard output')
    .option('--pretty', 'indent the JSON on standard output');
  addTargetOptions(command);
}

/** Prints the digest as oras does, then the reference unless it is the digest. */
function withReference(digest: string, reference: string): string {
  return isDigest(reference) ? digest : `${digest} ${onTerminal(reference)}`;
}

function statusOf(progress: IndexProgress, target: Target, madeLine: (progress: Made) => string): string {
  switch (progress.state) {
    case 'fetching':
      return `Fetching  ${typedOnTerminal(progress.reference)}\n`;
    case 'fetched':
      return `Fetched   ${withReference(progress.digest, progress.reference)}\n`;
    case 'added':
      return `Added     ${withReference(progress.digest, progress.reference)}\n`;
    case 'merged':
      return `Merged    ${withReference(progress.digest, progress.reference)}\n`;
    case 'removed':
      return `Removed   ${progress.digest}\n`;
    case 'made':
      return madeLine(progress);
    case 'pushed':
      return `Pushed    [${target.kind}] ${isDigest(target.tagOrDigest ?? '') ? nameOf(target) : firstOf(target)}\n`;
    case 'tagged':
      return `Tagged ${progress.tag}\n`;
  }
}

type Made = Extract<IndexProgress, { state: 'made' | 'pushed' }>;

function nameOf(target: Target): string {
  return target.text.slice(0, target.text.lastIndexOf('@'));
}

export function packedLine({ descriptor }: Made): string {
  return formatStatus('Packed   ', { mediaType: descriptor.mediaType, digest: descriptor.digest, size: 0 });
}

export function updatedLine({ descriptor }: Made): string {
  return `Updated   ${descriptor.digest}\n`;
}

/**
 * Prints the progress of creating or changing an index.
 * @param names manifests and tags as the user wrote them
 */
export function indexEvents(
  io: Io,
  {
    values,
    target,
    names,
    madeLine,
  }: { values: Values; target: Target; names: readonly string[]; madeLine: (progress: Made) => string },
): (progress: IndexProgress) => void {
  const written = writtenNames(target, names);
  return (progress) => {
    if (textOf(values, 'output') === '-') return;
    const named =
      'reference' in progress
        ? { ...progress, reference: written(progress.reference) }
        : progress.state === 'tagged'
          ? { ...progress, tag: written(progress.tag) }
          : progress;
    io.out(statusOf(named, target, madeLine));
  };
}

/** The index is pushed unless `--output` writes it to a file. */
export function indexFiles(values: Values): IndexFiles {
  return { push: textOf(values, 'output') === undefined };
}

/** `--output` writes the index. */
export async function writeIndexOutput(io: Io, values: Values, bytes: Uint8Array): Promise<void> {
  const output = textOf(values, 'output');
  if (output === '-') io.out(values.pretty === true ? `${indentJson(new TextDecoder().decode(bytes))}\n` : bytes);
  else if (output !== undefined) await writeOutput(output, bytes);
}

/** Prints a new index, from this process or the app. @param severalTags true if the target may have several */
export function indexPrinter(
  io: Io,
  severalTags: boolean,
  madeLine: (progress: Made) => string,
): OperationVerb<object, unknown>['print'] {
  return ({ output, job }, { operands, values }) => {
    if (textOf(values, 'output') === '-') return;
    const { descriptor } = describedIn(output);
    if (job !== undefined) {
      const target = readTarget(operandAt(operands, 0), values, { severalTags });
      // The tags as the user wrote them. The first is the tag of the target.
      const others = [...target.tags.slice(1), ...listOf(values.tag)];
      const progress: IndexProgress[] = [
        { state: 'made', descriptor },
        { state: 'pushed', descriptor },
        ...others.map((tag) => ({ state: 'tagged' as const, tag })),
      ];
      for (const each of progress) io.out(statusOf(each, target, madeLine));
    }
    io.out(`Digest: ${descriptor.digest}\n`);
  };
}
