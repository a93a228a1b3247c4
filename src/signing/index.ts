/** Creates and verifies Notary Project signatures. It does not depend on Azure or Functions. */
export * from './signer.js';
export { hashOf, signingAlgorithmOf, type NotaryAlgorithm } from './signature-algorithm.js';
export { loadPemSigner, type PemSigner } from './pem-signer.js';
export { keyError, keyMismatch } from './signing-errors.js';
export { chainFor, readPool } from './certificate-pool.js';
export { pemCertifiedKey, requestCertificate, selfSign, type CertifiedKey } from './self-signed.js';
export { describeSigner, type SignerStatus, type SignerWarning } from './signer-status.js';
export { holdAgainst, type Present } from './certificate-pool.js';
export { missingForNotation, parseSubject, type SubjectAttribute } from './subject.js';
export { keyHash, readCertificates, thumbprint } from './certificate.js';
export { isNotarySignature, NOTARY_SIGNATURE, thumbprintsOf } from './notary-format.js';
export { notaryAnnotations, signNotary, type NotarySignature, type SignNotaryOptions } from './sign-notary.js';
export { verifyNotary, type VerifiedSignature, type VerifyNotaryInput } from './verify-notary.js';
export type { NotaryTrust } from './trust.js';
