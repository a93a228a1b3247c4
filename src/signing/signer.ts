/**
 * The private key behind a seam: a PEM file locally, Key Vault in Azure. EC P-256 only (ES256), which both signature formats take.
 */
export interface Signer {
  /** Leaf to root, DER, root included. */
  readonly certificates: readonly Uint8Array[];
  /** Signs a SHA-256 digest (32 bytes). @returns raw r‖s, 64 bytes. */
  sign(digest: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}
