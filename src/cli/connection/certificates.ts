import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { ConfigurationError, InputError, type ClientCertificate } from '../../oci/index.js';

/** One or more certificates. @throws ConfigurationError `CA_FILE_UNREADABLE` */
export async function readCa(path: string): Promise<string> {
  try {
    const pem = await readFile(path, 'utf8');
    // Node ignores text that is not a certificate, and then trusts nobody. Parsing the first one finds that out.
    return new X509Certificate(pem).subject === undefined ? '' : pem;
  } catch (cause) {
    throw new ConfigurationError(
      'CA_FILE_UNREADABLE',
      `the certificate authority ${path} is missing, or contains no certificate`,
      { cause },
    );
  }
}

/**
 * The client certificate for a registry, and its key; undefined if neither was given.
 * @throws InputError `OPTION_MISSING` for one without the other; ConfigurationError `CLIENT_CERTIFICATE_INVALID`
 */
export async function readClientCertificate(
  certPath: string | undefined,
  keyPath: string | undefined,
): Promise<ClientCertificate | undefined> {
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined) {
    throw new InputError('OPTION_MISSING', 'a client certificate needs a key, and a key needs a certificate', {
      remedy: 'Give both --cert-file and --key-file.',
    });
  }
  const invalid = (why: string, cause: unknown): ConfigurationError =>
    new ConfigurationError('CLIENT_CERTIFICATE_INVALID', `${certPath} and ${keyPath} ${why}`, {
      cause,
      remedy: 'Give a certificate and its own key, both PEM, the key without a password.',
    });
  let pair: ClientCertificate;
  try {
    const [cert, key] = await Promise.all([readFile(certPath, 'utf8'), readFile(keyPath, 'utf8')]);
    pair = { cert, key };
  } catch (cause) {
    throw invalid('cannot both be read', cause);
  }
  try {
    // Checked here, because at the first connection it would look like an error of the registry.
    createSecureContext(pair);
  } catch (cause) {
    throw invalid('are not a certificate and its key', cause);
  }
  return pair;
}
