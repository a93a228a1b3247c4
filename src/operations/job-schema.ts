import { z } from 'zod';
import {
  id,
  credential,
  annotations,
  concurrency,
  artifactType,
  tags,
  distributionSpec,
  promotable,
  artifact,
  place,
  platform,
  excludeArtifactTypes,
  repository,
  last,
  flag,
  registryHost,
  namespace,
  someTags,
  requiredArtifactType,
  mediaType,
  manifests,
  digests,
  blob,
  blobPlace,
} from './job-fields.js';
import { files, oneFile, outputPrefix } from './job-file-fields.js';

/** A job of one operation. Fields are named after the flags of `oras`, in camel case. */
function job<const O extends string, S extends z.ZodRawShape>(operation: O, shape: S) {
  return z.strictObject({ operation: z.literal(operation), id: id, ...shape, credential: credential });
}

const packing = {
  files,
  annotations: annotations,
  configAnnotations: annotations.describe('Annotations of the config'),
  config: oneFile.exactOptional().describe('The config'),
  concurrency: concurrency,
};
const indexed = {
  artifactType: artifactType,
  tags: tags,
  distributionSpec: distributionSpec,
};

/** Gate 1 of a rule, by what the job itself trusts. */
const signatures = z
  .array(
    z.strictObject({
      format: z.literal('notary'),
      trustStore: z
        .string()
        .max(24 * 1024)
        .regex(/-----BEGIN CERTIFICATE-----/, 'certificates as PEM, in the job itself')
        .describe('PEM certificates'),
      identities: z
        .array(z.string().min(1).max(1000))
        .min(1)
        .max(20)
        .default(['*'])
        .describe('As in a notation trust policy: “x509.subject: C=US, O=Example”, or “*”'),
    }),
  )
  .min(1)
  .max(10);

const jobs = [
  job('promote', { source: promotable }),
  job('copy', {
    source: artifact,
    destination: place,
    tags: tags.describe(
      'More tags at the destination. Where they are given, the destination takes no tag of the source’s: an empty list for none',
    ),
    recursive: z.boolean().default(true).describe('With all that refers to it. Default: true'),
    platform: platform,
    excludeArtifactTypes: excludeArtifactTypes,
  }),
  job('discover', {
    reference: artifact,
    platform: platform,
    artifactType: artifactType,
    depth: z.int().min(1).max(16).exactOptional().describe('Levels; by default all'),
    format: z.enum(['json', 'tree', 'table']).default('json'),
    distributionSpec: distributionSpec,
  }),
  job('resolve', { reference: artifact, platform: platform }),
  job('tags', { reference: repository, last: last, excludeDigestTags: flag }),
  job('repos', { registry: registryHost, namespace: namespace, last: last }),
  job('manifest.fetch', { reference: artifact, platform: platform, descriptor: flag }),
  job('manifest.fetchConfig', { reference: artifact, platform: platform, descriptor: flag }),
  job('verify', {
    reference: artifact,
    platform: platform,
    signatures,
    distributionSpec: distributionSpec,
  }),
  job('tag', { reference: artifact, tags: someTags, concurrency: concurrency }),
  job('push', {
    reference: place,
    tags: tags,
    artifactType: artifactType,
    artifactPlatform: platform,
    imageSpec: z.enum(['v1.0', 'v1.1']).exactOptional(),
    ...packing,
  }),
  job('attach', {
    reference: artifact,
    platform: platform,
    artifactType: requiredArtifactType,
    ...packing,
    distributionSpec: distributionSpec,
  }),
  job('pull', {
    reference: artifact,
    platform: platform,
    output: outputPrefix,
    keepOldFiles: flag,
    includeSubject: flag,
    concurrency: concurrency,
  }),
  job('manifest.push', {
    reference: place,
    tags: tags,
    mediaType: mediaType,
    file: oneFile,
    distributionSpec: distributionSpec,
  }),
  job('manifest.delete', { reference: artifact, distributionSpec: distributionSpec }),
  job('manifest.index.create', {
    reference: place,
    manifests: manifests.describe('Tags or digests of the same repository, in their order'),
    annotations: annotations,
    ...indexed,
  }),
  job('manifest.index.update', {
    reference: artifact,
    add: manifests.exactOptional(),
    merge: manifests.exactOptional(),
    remove: digests.exactOptional(),
    ...indexed,
  }),
  job('blob.fetch', { reference: blob, output: outputPrefix }),
  job('blob.push', {
    reference: blobPlace,
    size: z.int().min(0).exactOptional().describe('Bytes that the blob must have'),
    file: oneFile,
  }),
  job('blob.delete', { reference: blob }),
  job('sbom', { reference: artifact, platform: platform, distributionSpec: distributionSpec }),
  job('sign', {
    reference: artifact,
    platform: platform,
    recursive: z.boolean().default(false).describe('The manifests of an index too'),
    distributionSpec: distributionSpec,
  }),
] as const;

/** Reads a job by default in: what isn't known in it is wrong. */
export const jobSchema = z.discriminatedUnion('operation', jobs);

type Incoming = z.output<typeof jobSchema>;
/** What a job asks for. */
export type JobInput = Incoming & { id: string };
export type JobOperation = JobInput['operation'];
/** A job of one operation. */
export type JobOf<O extends JobOperation> = Extract<JobInput, { operation: O }>;

export const JOB_OPERATIONS: readonly JobOperation[] = jobs.map(({ shape }) => shape.operation.value);

const [first, ...rest] = jobs;
/** A job as a run's row has it: what a later version may have added is dropped. */
export const storedJobSchema = z
  .discriminatedUnion('operation', [first.strip(), ...rest.map((each) => each.strip())])
  .refine((stored): stored is JobInput => stored.id !== undefined, 'a stored job has an id');
