/**
 * The settings that `npm start` takes from its environment for the host. It sets all others itself and takes none of a
 * deployed app.
 */
export const TAKEN_SETTINGS = [
  'PROMOTION_PAUSED',
  'RUN_RETENTION_DAYS',
  'AZURE_REGISTRIES',
  'REGISTRY_IDS',
  'SIGNING_KEY',
  'SIGNING_CERTIFICATE_CHAIN',
  'JOB_OPERATIONS',
  'JOB_SCOPES',
  'JOB_CREDENTIALS',
  'COPY_PART_BYTES',
  'WALK_REQUESTS',
  'SCAN_REQUESTS',
  'RESYNC_REQUESTS',
  'SBOM_LIMITS',
] as const;
