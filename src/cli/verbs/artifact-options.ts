import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { ConfigurationError, InputError } from '../../oci/index.js';
import type { PackingFiles, PackingInput } from '../../operations/packing.js';
import {
  createFolderSource,
  parseAnnotationFile,
  parseAnnotationFlags,
  parseConfigReference,
  parseFileReference,
  type ArtifactAnnotations,
  type PushProgress,
} from '../../oras/index.js';
import { writeOutput } from '../files.js';
import { addConcurrencyOption, concurrencyOf } from '../option-values.js';
import type { Io } from '../io.js';
import { collect, listOf } from '../repeated.js';
import { addFormatOptions } from '../output/result.js';
import { leftOutLine, typedOnTerminal } from '../output/status-line.js';
import { addTtyOption, tellUpload, type Transfers } from '../output/transfers.js';
import { textOf, type Values } from '../verb.js';
import { refuseTogether } from '../errors.js';

/** The options that push and attach have in common. */
export function addArtifactOptions(command: Command): void {
  command
    .option('-a, --annotation <key=value>', 'annotation of the manifest; repeatable', collect)
    .option('--annotation-file <path>', 'JSON file with annotations of manifest, config and files')
    .option('--artifact-type <type>', 'artifact type');
  addConcurrencyOption(command, 'blobs at once (default 5)')
    .option('--config <path[:type]>', 'file to use as the config')
    .option('--disable-path-validation', 'accept absolute paths')
    .option('--export-manifest <path>', 'also write the manifest to this file');
  addFormatOptions(command);
  addTtyOption(command);
}

/** `--annotation` or `--annotation-file`. @throws InputError `OPTIONS_EXCLUSIVE`, `ANNOTATION_FILE_INVALID`, `ANNOTATION_INVALID` */
async function readAnnotations(values: Values): Promise<ArtifactAnnotations> {
  const flags = listOf(values.annotation);
  const path = textOf(values, 'annotationFile');
  if (path === undefined) return { manifest: parseAnnotationFlags(flags) };
  refuseTogether(values, 'annotation', 'annotationFile');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new InputError('ANNOTATION_FILE_INVALID', `invalid annotation json file: ${path} cannot be read`, { cause });
  }
  return parseAnnotationFile(text, path);
}

/** The creation time for reproducible builds, in seconds since 1970. @see https://reproducible-builds.org/specs/source-date-epoch/ */
export function sourceDateEpoch(env: Io['env']): number {
  const text = env.SOURCE_DATE_EPOCH ?? '';
  if (text === '') return 0;
  if (/^\d{1,11}$/.test(text)) return Number(text);
  throw new ConfigurationError(
    'SETTING_INVALID',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, not seconds since 1970`,
  );
}

/** Options of push and attach that a job can have. */
export const PACKING: readonly string[] = [
  'annotation',
  'annotationFile',
  'artifactType',
  'concurrency',
  'config',
  'disablePathValidation',
];

/** Annotation: when the artifact was created. */
export const CREATED = 'org.opencontainers.image.created';

/** The files and annotations of push and attach, as fields of their input. */
export async function packingInput(files: readonly string[], values: Values, io: Io): Promise<PackingInput> {
  const { manifest = {}, config: onConfig, files: byPath } = await readAnnotations(values);
  const seconds = sourceDateEpoch(io.env);
  // Without SOURCE_DATE_EPOCH, the creation time is 1970, here and in the app.
  const created = seconds === 0 ? {} : { [CREATED]: new Date(seconds * 1000).toISOString().replace('.000', '') };
  const annotations = { ...created, ...manifest };
  const config = textOf(values, 'config');
  const listed = files.map(parseFileReference).map((file) => {
    const own = byPath?.get(file.path);
    return { ...file, ...(own && { annotations: own }) };
  });
  return {
    files: listed,
    ...(Object.keys(annotations).length > 0 && { annotations }),
    ...(onConfig && { configAnnotations: onConfig }),
    ...(config !== undefined && { config: parseConfigReference(config) }),
    ...concurrencyOf(values),
  };
}

/** The files of this machine, for push and attach. */
export function packingFiles(values: Values, io: Io): PackingFiles {
  return {
    source: createFolderSource(),
    createdSeconds: sourceDateEpoch(io.env),
    allowAbsolutePaths: values.disablePathValidation === true,
  };
}

/** Prints the progress of push and attach, as lines or bars. */
export function tellPush(transfers: Transfers, progress: PushProgress): void {
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

/** `--export-manifest` */
export async function exportManifest(values: Values, manifest: Uint8Array): Promise<void> {
  const path = textOf(values, 'exportManifest');
  if (path !== undefined) await writeOutput(path, manifest);
}
