import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSubject, pemCertifiedKey, selfSign } from '../../src/signing/index.js';

/** Paths of the local signing key and its self-signed certificate, both PEM; created at the first start. */
export interface SigningFiles {
  key: string;
  certificate: string;
  publicKey: string;
}

export async function signingFiles(dataDir: string): Promise<SigningFiles> {
  const folder = join(dataDir, 'signing');
  const files = {
    key: join(folder, 'key.pem'),
    certificate: join(folder, 'certificate.pem'),
    publicKey: join(folder, 'public-key.pem'),
  };
  const there = await Promise.all(
    Object.values(files).map((file) =>
      stat(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  if (there.every(Boolean)) return files;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const subject = parseSubject('O=acr-promoter, CN=acr-promoter local');
  const { pem: certificatePem } = await selfSign(pemCertifiedKey(keyPem), subject, { days: 365 });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(files.certificate, certificatePem);
  await writeFile(files.publicKey, createPublicKey(keyPem).export({ type: 'spki', format: 'pem' }));
  await writeFile(files.key, keyPem, { mode: 0o600 });
  return files;
}
