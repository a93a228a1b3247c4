import type { NotaryAlgorithm } from './signature-algorithm.js';

// Two ports, so that a key that is rotated at run time is never used with another key's certificate:
// - A Signer is one version of one key with its chain. It does not change.
// - A SignerSource returns the current Signer. A step takes one Signer and uses it to its end, because certificates,
// thumbprint and signatures belong together. It gets the Signer with each call (functions/activities.ts).

/** One version of a private key with its certificates: a PEM file, or a key in Key Vault. */
export interface Signer {
  /** Name of the key, not secret: a path, or `https://VAULT.vault.azure.net/keys/NAME/VERSION`. */
  readonly keyId: string;
  /** ES256 for EC P-256; PS256, PS384 or PS512 for RSA with 2048, 3072 or 4096 bits. */
  readonly algorithm: NotaryAlgorithm;
  /** The chain in DER, leaf to root, including the root. */
  readonly certificates: readonly Uint8Array[];
  /** When the key expires, whatever its certificate says. Absent if it does not expire. */
  readonly expires?: Date;
  /** A newer version of the key that is not used because it has no certificate. */
  readonly uncertified?: string;
  /**
   * Signs a message with `algorithm`. The signer hashes the message.
   * @returns raw r‖s (64 bytes) for ES256; the PSS signature for RSA
   */
  sign(message: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
}

/** Returns the current {@link Signer}. */
export interface SignerSource {
  /**
   * The current signer. It is cached for some minutes; after that a rotated key or a renewed certificate is used.
   * @throws an error about the key, its certificates or the access to them; transient if it may pass
   */
  current(signal?: AbortSignal): Promise<Signer>;
}

/** A source whose key never changes. */
export function fixedSigner(signer: Signer): SignerSource {
  return { current: async () => signer };
}

/**
 * A signer that throws `reason` when it is used. It takes the place of an unavailable signer, so that steps that do not
 * sign still run.
 */
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
