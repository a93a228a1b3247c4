import type { Digest } from '../oci/index.js';
import type { ArtifactOptions, FileReference, FileSource } from '../oras/index.js';
import type { JobFile } from './job-fields.js';
import type { InputOf } from './operation-schema.js';
import type { push } from './push.schema.js';

/** Where push and attach read files, and how they pack them. */
export interface PackingFiles extends Pick<ArtifactOptions, 'allowAbsolutePaths' | 'createdSeconds'> {
  source: FileSource;
}

/** The result of packing: the output of the operation, and the manifest. */
export interface Packed {
  output: Record<string, unknown>;
  digest: Digest;
  manifest: Uint8Array;
}

/** The fields that push and attach have in common. */
export type PackingInput = Pick<
  InputOf<typeof push>,
  'files' | 'annotations' | 'configAnnotations' | 'config' | 'artifactType' | 'concurrency'
>;

function reference({ path, mediaType }: Pick<JobFile, 'path' | 'mediaType'>): FileReference {
  return { path, ...(mediaType !== undefined && { mediaType }) };
}

/** The common fields of push and attach as options of src/oras. */
export function packingOf(input: PackingInput, { source: _source, ...how }: PackingFiles): ArtifactOptions {
  const { annotations: manifest, configAnnotations: config, artifactType, concurrency } = input;
  const files = new Map(input.files.flatMap((file) => (file.annotations ? [[file.path, file.annotations]] : [])));
  return {
    ...how,
    files: input.files.map(reference),
    annotations: { files, ...(manifest && { manifest }), ...(config && { config }) },
    ...(input.config && { config: reference(input.config) }),
    artifactType,
    concurrency,
  };
}
