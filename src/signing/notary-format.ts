/** @see https://github.com/notaryproject/specifications/blob/v1.1.0/specs/signature-specification.md#oci-signatures */
export const NOTARY_SIGNATURE = 'application/vnd.cncf.notary.signature';
export const NOTARY_PAYLOAD = 'application/vnd.cncf.notary.payload.v1+json';
export const NOTARY_JWS = 'application/jose+json';
export const NOTARY_COSE = 'application/cose';
/** On the signature's manifest: a JSON array of the chain's SHA-256 thumbprints. */
export const NOTARY_THUMBPRINTS = 'io.cncf.notary.x509chain.thumbprint#S256';

/** Keys that begin so are Notary's own. */
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
 * True for a Notary Project signature, from its manifest or its entry in a referrers list. Some clients write no
 * `artifactType`; then the manifest's config media type says it.
 */
export function isNotarySignature(of: { artifactType?: string; config?: { mediaType: string } }): boolean {
  return (of.artifactType ?? of.config?.mediaType) === NOTARY_SIGNATURE;
}

/** The thumbprints in the annotation of an entry in a referrers list: whoever pushed it wrote them, so they only help to rank. */
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
