import { z } from 'zod';
import * as field from './job-fields.js';
import { files, oneFile, outputPrefix } from './job-file-fields.js';

/** A job of one operation. Fields are named after the flags of `oras`, in camel case. */
function job<const O extends string, S extends z.ZodRawShape>(operation: O, shape: S) {
  return z.strictObject({ operation: z.literal(operation), id: field.id, ...shape, credential: field.credential });
}

const packing = {
  files,
  annotations: field.annotations,
  configAnnotations: field.annotations.describe('Annotations of the config'),
  config: oneFile.exactOptional().describe('The config'),
  concurrency: field.concurrency,
};
const indexed = {
  artifactType: field.artifactType,
  tags: field.tags,
  distributionSpec: field.distributionSpec,
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
  job('promote', { source: field.promotable }),
  job('copy', {
    source: field.artifact,
    destination: field.place,
    tags: field.tags.describe(
      'More tags at the destination. Where they are given, the destination takes no tag of the source’s: an empty list for none',
    ),
    recursive: z.boolean().default(true).describe('With all that refers to it. As it comes: true'),
    platform: field.platform,
    excludeArtifactTypes: field.excludeArtifactTypes,
  }),
  job('discover', {
    reference: field.artifact,
    platform: field.platform,
    artifactType: field.artifactType,
    depth: z.int().min(1).max(16).exactOptional().describe('Levels; as it comes all'),
    format: z.enum(['json', 'tree', 'table']).default('json'),
    distributionSpec: field.distributionSpec,
  }),
  job('resolve', { reference: field.artifact, platform: field.platform }),
  job('tags', { reference: field.repository, last: field.last, excludeDigestTags: field.flag }),
  job('repos', { registry: field.registryHost, namespace: field.namespace, last: field.last }),
  job('manifest.fetch', { reference: field.artifact, platform: field.platform, descriptor: field.flag }),
  job('manifest.fetchConfig', { reference: field.artifact, platform: field.platform, descriptor: field.flag }),
  job('verify', {
    reference: field.artifact,
    platform: field.platform,
    signatures,
    distributionSpec: field.distributionSpec,
  }),
  job('tag', { reference: field.artifact, tags: field.someTags, concurrency: field.concurrency }),
  job('push', {
    reference: field.place,
    tags: field.tags,
    artifactType: field.artifactType,
    artifactPlatform: field.platform,
    imageSpec: z.enum(['v1.0', 'v1.1']).exactOptional(),
    ...packing,
  }),
  job('attach', {
    reference: field.artifact,
    platform: field.platform,
    artifactType: field.requiredArtifactType,
    ...packing,
    distributionSpec: field.distributionSpec,
  }),
  job('pull', {
    reference: field.artifact,
    platform: field.platform,
    output: outputPrefix,
    keepOldFiles: field.flag,
    includeSubject: field.flag,
    concurrency: field.concurrency,
  }),
  job('manifest.push', {
    reference: field.place,
    tags: field.tags,
    mediaType: field.mediaType,
    file: oneFile,
    distributionSpec: field.distributionSpec,
  }),
  job('manifest.delete', { reference: field.artifact, distributionSpec: field.distributionSpec }),
  job('manifest.index.create', {
    reference: field.place,
    manifests: field.manifests.describe('Tags or digests of the same repository, in their order'),
    annotations: field.annotations,
    ...indexed,
  }),
  job('manifest.index.update', {
    reference: field.artifact,
    add: field.manifests.exactOptional(),
    merge: field.manifests.exactOptional(),
    remove: field.digests.exactOptional(),
    ...indexed,
  }),
  job('blob.fetch', { reference: field.blob, output: outputPrefix }),
  job('blob.push', {
    reference: field.blobPlace,
    size: z.int().min(0).exactOptional().describe('Bytes that the blob must have'),
    file: oneFile,
  }),
  job('blob.delete', { reference: field.blob }),
  job('sbom', { reference: field.artifact, platform: field.platform, distributionSpec: field.distributionSpec }),
  job('sign', {
    reference: field.artifact,
    platform: field.platform,
    recursive: z.boolean().default(false).describe('The manifests of an index too'),
    distributionSpec: field.distributionSpec,
  }),
] as const;

/** Reads a job as it comes in: what isn't known in it is wrong. */
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
