/**
 * The private key behind a seam: a PEM file locally, Key Vault in Azure. EC P-256 only (ES256), which both signature formats take.
 */
export interface Signer {
  /** Leaf to root, DER, root included. */
  readonly certificates: readonly Uint8Array[];
  /**
   * Signs a message with ES256. The signer hashes it (SHA-256): Node's own crypto takes no digest.
   * @returns raw r‖s, 64 bytes.
   */
  sign(message: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}
