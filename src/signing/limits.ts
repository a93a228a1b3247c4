/** Bounds of this folder: what is over them is refused with a code, never truncated in silence. */
export const LIMITS = {
  /** Bytes of a signature envelope; real ones have a few thousand, and 4 MiB of brackets take a second. `SIGNATURE_TOO_LARGE` */
  envelopeBytes: 256 * 1024,
  /** Certificates in an envelope or a signing chain. `SIGNATURE_INVALID`, `SIGNING_CERTIFICATE_INVALID` */
  chainCertificates: 10,
  /** Bytes of one certificate. `SIGNATURE_INVALID`, `CERTIFICATE_UNREADABLE` */
  certificateBytes: 64 * 1024,
  /** Certificates in one PEM file, such as a trust store. `CERTIFICATE_UNREADABLE` */
  pemCertificates: 1000,
  /** Characters of a trusted identity. `TRUST_IDENTITY_INVALID` */
  identityChars: 4096,
  /** Critical attributes of an envelope. `SIGNATURE_INVALID` */
  criticalAttributes: 100,
} as const;
