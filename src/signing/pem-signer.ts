import { createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import { ConfigurationError, describeError } from '../oci/index.js';
import { parseCertificate, readCertificates, type CodeSigningCertificate } from './certificate.js';
import { algorithmOf, chainProblem } from './certificate-chain.js';
import type { Signer } from './signer.js';

export interface PemSigner {
  /** EC P-256, PKCS #8 or SEC 1, not encrypted. */
  keyPem: string;
  /** The signing certificate, its issuers, the root last; one that is self-signed may stand alone. */
  certificateChainPem: string;
}

/**
 * A signer with a key in memory.
 * @throws ConfigurationError `SIGNING_KEY_INVALID`, `SIGNING_CERTIFICATE_INVALID`, `SIGNING_KEY_MISMATCH`
 */
export function loadPemSigner({ keyPem, certificateChainPem }: PemSigner): Signer {
  const key = readKey(keyPem);
  const chain = readChain(certificateChainPem);
  const [leaf] = chain;
  if (leaf === undefined || !createPublicKey(key).equals(leaf.publicKey)) {
    throw new ConfigurationError(
      'SIGNING_KEY_MISMATCH',
      `The signing key is not that of ${leaf?.name ?? 'the certificate'}`,
      { remedy: 'Put the certificate that belongs to the key first in the chain.' },
    );
  }
  return {
    certificates: chain.map(({ der }) => der),
    sign: async (message, signal) => {
      signal?.throwIfAborted();
      return sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
    },
  };
}

function readKey(pem: string): KeyObject {
  if (pem.includes('ENCRYPTED')) throw keyError('it is encrypted');
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The parser's error is left out: it is about a secret, and says nothing that helps.
    throw keyError('it is not a PEM private key');
  }
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType !== 'ec') throw keyError(`it is ${key.asymmetricKeyType ?? 'unknown'}, not EC`);
  if (curve !== 'prime256v1') throw keyError(`it is on the curve ${curve ?? 'unknown'}, not P-256`);
  return key;
}

function readChain(pem: string): CodeSigningCertificate[] {
  let chain: CodeSigningCertificate[];
  try {
    chain = readCertificates(pem).map(parseCertificate);
  } catch (error) {
    throw chainError(describeError(error).message);
  }
  const [leaf] = chain;
  const problem = chainProblem(chain);
  if (problem !== undefined) throw chainError(problem);
  if (leaf === undefined || algorithmOf(leaf) !== 'ES256') throw chainError(`its key is not on the curve P-256`);
  return chain;
}

function keyError(why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_INVALID', `The signing key cannot be used: ${why}`, {
    remedy: 'Give an EC P-256 private key as PEM, for example: openssl ecparam -name prime256v1 -genkey -noout.',
  });
}

function chainError(why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_CERTIFICATE_INVALID', `The signing certificate cannot be used: ${why}`, {
    remedy:
      'Give the whole chain as PEM, signing certificate first and root last; the signing certificate needs a critical key usage of digitalSignature and nothing more.',
  });
}
