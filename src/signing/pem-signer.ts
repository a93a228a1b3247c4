import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { describeError } from '../oci/index.js';
import { parseCertificate, readCertificates, type CodeSigningCertificate } from './certificate.js';
import { chainProblem } from './certificate-chain.js';
import { cryptoOptions, hashOf, signingAlgorithmOf, type NotaryAlgorithm } from './signature-algorithm.js';
import type { Signer } from './signer.js';
import { chainError, keyError, keyMismatch } from './signing-errors.js';

/** A private key and its certificates, PEM. */
export interface PemSigner {
  /** Private key: EC P-256, or RSA with 2048, 3072 or 4096 bits, in PKCS #8, SEC 1 or PKCS #1, not encrypted. */
  keyPem: string;
  /** Signing certificate first, then its issuers, root last. A self-signed certificate may stand alone. */
  certificateChainPem: string;
  /** Name of the key in messages, for example its path. Default: `a PEM key`. */
  keyId?: string;
}

/**
 * Creates a signer with a key in memory.
 * @throws ConfigurationError `SIGNING_KEY_INVALID`, `SIGNING_CERTIFICATE_INVALID`, `SIGNING_KEY_MISMATCH`
 */
export function loadPemSigner({ keyPem, certificateChainPem, keyId = 'a PEM key' }: PemSigner): Signer {
  const { key, algorithm } = readSigningKey(keyPem);
  const chain = readChain(certificateChainPem);
  const [leaf] = chain;
  if (leaf === undefined || !createPublicKey(key).equals(leaf.publicKey)) throw keyMismatch(leaf?.name);
  return {
    keyId,
    algorithm,
    certificates: chain.map(({ der }) => der),
    sign: async (message, signal) => {
      signal?.throwIfAborted();
      return sign(hashOf(algorithm), message, { key, ...cryptoOptions(algorithm) });
    },
  };
}

/** @throws ConfigurationError `SIGNING_KEY_INVALID` */
export function readSigningKey(pem: string): { key: KeyObject; algorithm: NotaryAlgorithm } {
  if (pem.includes('ENCRYPTED')) throw keyError('it is encrypted');
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The parser's error is dropped, because it is about a secret and does not help.
    throw keyError('it is not a PEM private key');
  }
  const found = signingAlgorithmOf(key);
  if ('problem' in found) throw keyError(found.problem);
  return { key, algorithm: found.algorithm };
}

function readChain(pem: string): CodeSigningCertificate[] {
  let chain: CodeSigningCertificate[];
  try {
    chain = readCertificates(pem).map(parseCertificate);
  } catch (error) {
    throw chainError(describeError(error).message);
  }
  const problem = chainProblem(chain);
  if (problem !== undefined) throw chainError(problem);
  return chain;
}
