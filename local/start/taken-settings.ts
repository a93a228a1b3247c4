/** Settings that whoever calls `npm start` may give the host; it sets the others itself, and takes none of an app in Azure. */
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
] as const;
