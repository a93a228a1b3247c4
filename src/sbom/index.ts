/** SBOMs straight from a registry's blobs. Knows nothing of Azure or of Functions. */
export * from './generator.js';
