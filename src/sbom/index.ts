/** Makes SBOMs from the blobs of a registry. It does not depend on Azure or Functions. */
export * from './generator.js';
export { createStreamingSbomGenerator, CYCLONEDX_JSON, type StreamingSbomOptions } from './streaming.js';
export { SBOM_LIMITS, type SbomLimits } from './limits.js';
