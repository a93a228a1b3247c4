import { ConfigurationError } from '../oci/index.js';

/**
 * Creates `SIGNING_KEY_MISMATCH`.
 * @param name subject of the certificate
 */
export function keyMismatch(name: string | undefined): ConfigurationError {
  return new ConfigurationError(
    'SIGNING_KEY_MISMATCH',
    `The signing key does not belong to ${name ?? 'the certificate'}`,
    {
      remedy: 'Put the certificate for this key first in the chain.',
    },
  );
}

/** Creates `SIGNING_KEY_INVALID`. */
export function keyError(why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_INVALID', `The signing key cannot be used: ${why}`, {
    remedy:
      'Provide an EC P-256 or RSA (2048, 3072 or 4096 bits) private key as PEM, for example: openssl ecparam -name prime256v1 -genkey -noout.',
  });
}

/** Creates `SIGNING_CERTIFICATE_INVALID`. */
export function chainError(why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_CERTIFICATE_INVALID', `The signing certificate cannot be used: ${why}`, {
    remedy:
      'Provide the whole chain as PEM, signing certificate first and root last. The signing certificate needs the critical key usage digitalSignature and no other.',
  });
}
