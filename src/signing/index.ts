/** Notary Project signatures: made and verified. Knows nothing of Azure or of Functions. */
export * from './signer.js';
