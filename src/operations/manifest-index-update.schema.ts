import { artifactType, tags, distributionSpec, artifact, manifests, digests } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const manifestIndexUpdate = operationSchema(
  'manifest.index.update',
  { reference: 'write' },
  {
    reference: artifact,
    add: manifests.exactOptional(),
    merge: manifests.exactOptional(),
    remove: digests.exactOptional(),
    artifactType,
    tags,
    distributionSpec,
  },
);
