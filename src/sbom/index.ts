/** SBOMs straight from a registry's blobs. Knows nothing of Azure or of Functions. */
export * from './generator.js';
export { createStreamingSbomGenerator, CYCLONEDX_JSON, type StreamingSbomOptions } from './streaming.js';
export { SBOM_LIMITS, type SbomLimits } from './limits.js';
