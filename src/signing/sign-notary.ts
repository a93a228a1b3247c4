import { ConfigurationError, type Descriptor } from '../oci/index.js';
import { parseCertificate, thumbprint } from './certificate.js';
import { invalidAt } from './certificate-chain.js';
import {
  NOTARY_SIGNATURE,
  NOTARY_JWS,
  NOTARY_PAYLOAD,
  NOTARY_PREFIX,
  NOTARY_THUMBPRINTS,
  SCHEME_X509,
  SIGNING_AGENT,
  SIGNING_SCHEME,
  SIGNING_TIME,
} from './notary-format.js';
import { isSignedBy } from './signature-algorithm.js';
import type { Signer } from './signer.js';
import { keyMismatch } from './signing-errors.js';

/** The content of a signature artifact: one layer and annotations. It has an empty config and refers to the subject. */
export interface NotarySignature {
  artifactType: string;
  layer: { mediaType: string; bytes: Uint8Array };
  annotations: Record<string, string>;
}

/** Options of {@link signNotary}. */
export interface SignNotaryOptions {
  /** Time of signing, rounded down to seconds. */
  signingTime: Date;
  /** The signing tool, for people: `acr-promoter/0.1.0`. It is not signed. */
  signingAgent?: string;
  /**
   * Statements about the subject that are signed with it (`notation verify --user-metadata`). Default: none. Keys that
   * start with `io.cncf.notary` are reserved. `SIGNING_METADATA_INVALID`
   */
  metadata?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
}

/**
 * Signs the descriptor of a manifest, in a JWS envelope.
 * @throws ConfigurationError `SIGNING_METADATA_INVALID`; `SIGNING_CERTIFICATE_EXPIRED` if a certificate of the chain is
 *   not valid at `signingTime`; `SIGNING_KEY_MISMATCH` if the signer's key does not belong to its certificate
 * @throws any error of the signer
 * @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-envelope-jws.md
 */
export async function signNotary(
  subject: Descriptor,
  signer: Signer,
  { signingTime, signingAgent, metadata = {}, signal }: SignNotaryOptions,
): Promise<NotarySignature> {
  const chain = signer.certificates.map((der) => parseCertificate(der));
  const [leaf] = chain;
  const outside = invalidAt(chain, signingTime);
  if (outside !== undefined) {
    throw new ConfigurationError(
      'SIGNING_CERTIFICATE_EXPIRED',
      `The signing certificate ${outside.name} is valid from ${outside.validFrom.toISOString()} to ${outside.validTo.toISOString()}`,
      { remedy: 'Renew the signing certificate.' },
    );
  }
  const { mediaType, digest, size } = subject;
  const reserved = Object.keys(metadata).find((key) => key.startsWith(NOTARY_PREFIX));
  if (reserved !== undefined) {
    throw new ConfigurationError('SIGNING_METADATA_INVALID', `${JSON.stringify(reserved)} is a reserved key`, {
      remedy: `Use a metadata key that does not start with ${NOTARY_PREFIX}.`,
    });
  }
  const annotations = Object.keys(metadata).length > 0 && { annotations: metadata };
  const payload = encode({ targetArtifact: { mediaType, digest, size, ...annotations } });
  const encodedHeader = encode({
    alg: signer.algorithm,
    cty: NOTARY_PAYLOAD,
    crit: [SIGNING_SCHEME],
    [SIGNING_SCHEME]: SCHEME_X509,
    [SIGNING_TIME]: withoutFraction(signingTime),
  });
  const input = Buffer.from(`${encodedHeader}.${payload}`, 'ascii');
  const signature = await signer.sign(input, signal);
  // The key may have been rotated without its certificate. Without this check, only verifiers would notice.
  if (leaf === undefined || !isSignedBy(leaf.publicKey, signer.algorithm, input, signature)) {
    throw keyMismatch(leaf?.name);
  }
  const envelope = {
    payload,
    protected: encodedHeader,
    header: {
      x5c: signer.certificates.map((der) => Buffer.from(der).toString('base64')),
      ...(signingAgent !== undefined && { [SIGNING_AGENT]: signingAgent }),
    },
    signature: Buffer.from(signature).toString('base64url'),
  };
  return {
    artifactType: NOTARY_SIGNATURE,
    layer: { mediaType: NOTARY_JWS, bytes: Buffer.from(JSON.stringify(envelope), 'utf8') },
    annotations: notaryAnnotations(signer),
  };
}

/** Annotations of a signature's manifest: the thumbprints of the signer's certificates. */
export function notaryAnnotations({ certificates }: Pick<Signer, 'certificates'>): Record<string, string> {
  return { [NOTARY_THUMBPRINTS]: JSON.stringify(certificates.map(thumbprint)) };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}

/** RFC 3339 without a fraction, because the specification requires whole seconds. */
function withoutFraction(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
