import { annotations, artifactType, tags, distributionSpec, place, manifests } from './job-fields.js';
import { operationSchema } from './operation-schema.js';

export const manifestIndexCreate = operationSchema(
  'manifest.index.create',
  { reference: 'write' },
  {
    reference: place,
    manifests: manifests.describe('Tags or digests of the same repository, in their order'),
    annotations,
    artifactType,
    tags,
    distributionSpec,
  },
);
