/**
 * The OCI client: references, manifests, registries, layouts and copies of graphs. It does not depend on Azure or
 * Functions.
 */
export * from './errors.js';
export * from './digest.js';
export * from './reference.js';
export { hideCredentials, quoted } from './credentials-in-text.js';
export * from './media-types.js';
export * from './descriptor.js';
export * from './manifest.js';
export * from './content-kind.js';
export { repeatedNames } from './strict-json.js';
export * from './repository.js';
export { once, readBlob } from './content.js';
export * from './lease.js';
export * from './tar-header.js';
export { makeFolder } from './make-folder.js';
export * from './registry/transport.js';
export * from './registry/credentials.js';
export * from './pack.js';
export {
  ARTIFACT_STREAMING,
  parsePlan,
  planGraph,
  type CopyPlan,
  type GraphOptions,
  type PlannedManifest,
} from './copy/plan.js';
export { movePart, type MovedPart, type MovePartOptions } from './copy/move-blob.js';
export * from './copy/copy-graph.js';
export { Budget } from './copy/budget.js';
export type { Arrival, CopiedNode, CopyProgress, CopyReport } from './copy/report.js';
export { LEFT_OUT_REASONS, type LeftOut } from './copy/walk-context.js';
export * from './copy/verify.js';
export * from './copy/compare.js';
export { isNothingMissing, type Listing, type Missing } from './copy/missing.js';
export { isDigestTag } from './copy/digest-tags.js';
export { ACTIVE_MS, type RateSharing, type RequestCategory } from './registry/rate-sharing.js';
export { createTransport, type TransportOptions } from './registry/create-transport.js';
export type { Address, ClientCertificate } from './registry/dispatchers.js';
export {
  createRegistries,
  type OpenRegistries,
  type RegistriesOptions,
  type Registry,
  type RegistryClient,
  type RegistryRepository,
} from './registry/registries.js';
export type { ChangedManifest, ChangedTag } from './registry/newest.js';
export type { TagDetails } from './registry/tags.js';
export { isLoopback, isSameRegistry } from './registry/urls.js';
export { REQUEST_CHANNEL, type RequestEvent } from './registry/diagnostics.js';
export {
  defaultDockerConfigPath,
  dockerConfigCredentials,
  type DockerConfigOptions,
} from './registry/docker-config.js';
export { eraseDockerCredential, storeDockerCredential } from './registry/docker-config-store.js';
export * from './layout/open-layout.js';
export { onSide, resolveIfThere } from './copy/side.js';
export { rootBytes } from './copy/open-content.js';
export { rememberReads, rememberRepository, type Answer, type Memory } from './copy/remember.js';
export { abortable, mapConcurrently } from './concurrency.js';
export { getOrMake, remember } from './memo.js';
