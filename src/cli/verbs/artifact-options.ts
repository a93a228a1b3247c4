import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { ConfigurationError, InputError } from '../../oci/index.js';
import {
  parseAnnotationFile,
  parseAnnotationFlags,
  parseConfigReference,
  parseFileReference,
  type ArtifactAnnotations,
  type ArtifactOptions,
  type PushProgress,
} from '../../oras/index.js';
import { writeOutput } from '../files.js';
import { parseConcurrency } from '../option-values.js';
import type { Io } from '../io.js';
import { collect, listOf } from '../repeated.js';
import { addFormatOptions } from '../output/result.js';
import { leftOutLine, typedOnTerminal } from '../output/status-line.js';
import { addTtyOption, tellUpload, type Transfers } from '../output/transfers.js';
import { textOf, type Values } from '../verb.js';

/** The options that push and attach have in common. */
export function addArtifactOptions(command: Command): void {
  command
    .option('-a, --annotation <key=value>', 'annotation of the manifest; repeatable', collect)
    .option('--annotation-file <path>', 'JSON file with annotations of manifest, config and files')
    .option('--artifact-type <type>', 'artifact type')
    .option('--concurrency <number>', 'blobs at once', '5')
    .option('--config <path[:type]>', 'file that becomes the config')
    .option('--disable-path-validation', 'take absolute paths')
    .option('--export-manifest <path>', 'write the manifest to this file, too');
  addFormatOptions(command);
  addTtyOption(command);
}

/** `--annotation` or `--annotation-file`. @throws InputError `OPTIONS_EXCLUSIVE`, `ANNOTATION_FILE_INVALID`, `ANNOTATION_INVALID` */
export async function readAnnotations(values: Values): Promise<ArtifactAnnotations> {
  const flags = listOf(values.annotation);
  const path = textOf(values, 'annotationFile');
  if (path === undefined) return { manifest: parseAnnotationFlags(flags) };
  if (flags.length > 0) {
    throw new InputError('OPTIONS_EXCLUSIVE', '`--annotation` and `--annotation-file` cannot be both specified');
  }
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new InputError('ANNOTATION_FILE_INVALID', `invalid annotation json file: ${path} cannot be read`, { cause });
  }
  return parseAnnotationFile(text, path);
}

/** Seconds since 1970 that reproducible builds agree on. @see https://reproducible-builds.org/specs/source-date-epoch/ */
export function sourceDateEpoch(env: Io['env']): number {
  const text = env.SOURCE_DATE_EPOCH ?? '';
  if (text === '') return 0;
  if (/^\d{1,11}$/.test(text)) return Number(text);
  throw new ConfigurationError(
    'SETTING_INVALID',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, not seconds since 1970`,
  );
}

/** What push and attach are asked for, but for what only one of them takes. */
export async function readArtifactOptions(
  files: readonly string[],
  values: Values,
  io: Io,
  transfers: Transfers,
): Promise<ArtifactOptions> {
  const config = textOf(values, 'config');
  const artifactType = textOf(values, 'artifactType');
  return {
    files: files.map(parseFileReference),
    annotations: await readAnnotations(values),
    createdSeconds: sourceDateEpoch(io.env),
    concurrency: parseConcurrency(values.concurrency, 5),
    allowAbsolutePaths: values.disablePathValidation === true,
    signal: io.signal,
    onProgress: (progress) => tell(transfers, progress),
    ...(config !== undefined && { config: parseConfigReference(config) }),
    ...(artifactType !== undefined && { artifactType }),
  };
}

/** What push and attach tell, as a line or a bar. */
function tell(transfers: Transfers, progress: PushProgress): void {
  switch (progress.state) {
    case 'empty':
      return transfers.line('Uploading empty artifact\n');
    case 'preparing':
      return transfers.line(`Preparing ${typedOnTerminal(progress.name)}\n`);
    case 'left-out':
      return transfers.warn(leftOutLine(progress.name));
    case 'uploading':
    case 'moving':
    case 'uploaded':
    case 'exists':
      return tellUpload(transfers, progress);
  }
}

/** Keeps the manifest where that was asked for. */
export async function exportManifest(values: Values, manifest: Uint8Array): Promise<void> {
  const path = textOf(values, 'exportManifest');
  if (path !== undefined) await writeOutput(path, manifest);
}
