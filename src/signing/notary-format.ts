/** @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#oci-signatures */
export const NOTARY_SIGNATURE = 'application/vnd.cncf.notary.signature';
export const NOTARY_PAYLOAD = 'application/vnd.cncf.notary.payload.v1+json';
export const NOTARY_JWS = 'application/jose+json';
export const NOTARY_COSE = 'application/cose';
/** Annotation of the signature's manifest: a JSON array with the SHA-256 thumbprints of the chain. */
export const NOTARY_THUMBPRINTS = 'io.cncf.notary.x509chain.thumbprint#S256';

/** Prefix of keys that are reserved for Notary. */
export const NOTARY_PREFIX = 'io.cncf.notary';

export const SIGNING_SCHEME = 'io.cncf.notary.signingScheme';
export const SIGNING_TIME = 'io.cncf.notary.signingTime';
export const AUTHENTIC_SIGNING_TIME = 'io.cncf.notary.authenticSigningTime';
export const EXPIRY = 'io.cncf.notary.expiry';
export const SIGNING_AGENT = 'io.cncf.notary.signingAgent';
export const TIMESTAMP_SIGNATURE = 'io.cncf.notary.timestampSignature';

export const SCHEME_X509 = 'notary.x509';
export const SCHEME_SIGNING_AUTHORITY = 'notary.x509.signingAuthority';

/**
 * True for a Notary Project signature, given its manifest or its entry in a list of referrers. Some clients omit
 * `artifactType`; then the media type of the config decides.
 */
export function isNotarySignature(of: { artifactType?: string; config?: { mediaType: string } }): boolean {
  return (of.artifactType ?? of.config?.mediaType) === NOTARY_SIGNATURE;
}

/** The thumbprints in an entry's annotation. Anybody who may push can write them, so use them only to sort entries. */
export function thumbprintsOf({ annotations }: { annotations?: Record<string, string> }): string[] {
  const text = annotations?.[NOTARY_THUMBPRINTS];
  if (text === undefined) return [];
  try {
    const listed: unknown = JSON.parse(text);
    return Array.isArray(listed) ? listed.filter((entry) => typeof entry === 'string') : [];
  } catch {
    return [];
  }
}
