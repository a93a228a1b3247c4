/** Makes SBOMs from the blobs of a registry. It does not depend on Azure or Functions. */
export * from './generator.js';
export { diffSboms, type PackageChange } from './diff.js';
export { describeSbom, generateSboms, type Generated } from './generate-sboms.js';
export { GAP_CAUSES, type GapCause, type GapCount } from './gaps.js';
export { createStreamingSbomGenerator, type StreamingSbomOptions } from './streaming.js';
export { readSbom, type ReadSbom, type SbomPackage } from './read-document.js';
export { SBOM_FORMATS, SBOM_MEDIA_TYPES, TOOL_VERSION, type SbomFormat } from './tool.js';
export { parseSbomLimits, SBOM_LIMIT_NAMES, SBOM_LIMITS, type SbomLimits } from './limits.js';
export { LAYER_TOO_SLOW } from './sbom-errors.js';
