import { ConfigurationError } from '../oci/index.js';

/** `SIGNING_KEY_MISMATCH` @param name the certificate's */
export function keyMismatch(name: string | undefined): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_MISMATCH', `The signing key is not that of ${name ?? 'the certificate'}`, {
    remedy: 'Put the certificate that belongs to the key first in the chain.',
  });
}

/** `SIGNING_KEY_INVALID` */
export function keyError(why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_INVALID', `The signing key cannot be used: ${why}`, {
    remedy:
      'Give an EC P-256 or RSA (2048, 3072 or 4096 bits) private key as PEM, for example: openssl ecparam -name prime256v1 -genkey -noout.',
  });
}

/** `SIGNING_CERTIFICATE_INVALID` */
export function chainError(why: string): ConfigurationError {
  return new ConfigurationError('SIGNING_CERTIFICATE_INVALID', `The signing certificate cannot be used: ${why}`, {
    remedy:
      'Give the whole chain as PEM, signing certificate first and root last; the signing certificate needs a critical key usage of digitalSignature and nothing more.',
  });
}
