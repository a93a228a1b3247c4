import type { NotaryAlgorithm } from './signature-algorithm.js';

// Two ports, so that a key that is rotated while the app runs never meets another key's certificate:
// - a Signer is one version of one key with the chain for it. It does not change.
// - a SignerSource says which Signer signs now. Whoever signs takes one Signer for a piece of work and keeps it until the end: its
//   certificates, its thumbprint and its signatures belong together. A step gets its Signer with each call (functions/activities.ts).

/** One version of a private key, with its certificates: a PEM file, or a key in Key Vault. */
export interface Signer {
  /** Names the key and holds no secret: a path, or `https://VAULT.vault.azure.net/keys/NAME/VERSION`. */
  readonly keyId: string;
  /** What the key signs with: ES256 for EC P-256; PS256, PS384 or PS512 for RSA with 2048, 3072 or 4096 bits. */
  readonly algorithm: NotaryAlgorithm;
  /** Leaf to root, DER, root included. */
  readonly certificates: readonly Uint8Array[];
  /** When the key itself may no longer sign, whatever its certificate says. */
  readonly expires?: Date;
  /** A newer version of the key, which signs nothing since there is no certificate for it. */
  readonly uncertified?: string;
  /**
   * Signs a message with `algorithm`, whose hash the signer makes.
   * @returns raw r‖s (64 bytes) for ES256; the PSS signature for RSA
   */
  sign(message: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}

export interface SignerSource {
  /**
   * The signer of this moment. It is kept for some minutes; then a rotated key or a renewed certificate is seen.
   * @throws what is wrong with the key, its certificates or the way to them; transient where it may pass
   */
  current(signal?: AbortSignal): Promise<Signer>;
}

/** A source whose key does not change while the process lives. */
export function fixedSigner(signer: Signer): SignerSource {
  return { current: async () => signer };
}

/** Stands where there is no signer at the moment: whoever uses it gets the reason; whoever does not is not stopped by it. */
export function failingSigner(reason: Error): Signer {
  const fail = (): never => {
    throw reason;
  };
  return {
    get keyId() {
      return fail();
    },
    get algorithm() {
      return fail();
    },
    get certificates() {
      return fail();
    },
    sign: async () => fail(),
  };
}
