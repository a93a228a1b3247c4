import { Readable } from 'node:stream';
import { BlobClient } from '@azure/storage-blob';
import type { TokenCredential } from '@azure/identity';
import { ConfigurationError } from '../oci/index.js';
import { storageFailure } from './storage-errors.js';

/**
 * Time limit for reading a blob that a setting names, including repetitions. Milliseconds. `RULES_UNREADABLE`,
 * `SIGNING_CERTIFICATE_UNREADABLE`
 */
const TEXT_BLOB_MS = 30_000;
/** The most bytes of the rules blob. `RULES_INVALID` */
const RULES_BLOB_BYTES = 1_000_000;
/** The most bytes of a certificate blob. `SIGNING_CERTIFICATE_INVALID` */
const CERTIFICATE_BLOB_BYTES = 1024 * 1024;

/** The kind of text that the blob of a setting holds. */
interface TextKind {
  /** `the rules blob` */
  what: string;
  limitBytes: number;
  /** Makes the error for a blob that cannot be read; it is transient, because the blob may be uploaded later. */
  unreadable: (message: string, cause: unknown) => ConfigurationError;
  tooLarge: (message: string) => ConfigurationError;
}

export type ReadText = (url: string) => Promise<string>;

/** Reads the rules. The parser has a limit too; this one bounds the download. */
export function readRulesBlob(credential: TokenCredential): ReadText {
  return readTextBlob(credential, {
    what: 'the rules blob',
    limitBytes: RULES_BLOB_BYTES,
    unreadable: (message, cause) =>
      new ConfigurationError('RULES_UNREADABLE', message, {
        cause,
        transient: true,
        remedy: 'Upload the rules there and give the identity the role Storage Blob Data Reader on them.',
      }),
    tooLarge: (message) =>
      new ConfigurationError('RULES_INVALID', message, {
        remedy: 'Remove rules, or use fewer certificates in their trust stores.',
      }),
  });
}

/** Reads the certificates of the signing key, PEM. */
export function readCertificateBlob(credential: TokenCredential): ReadText {
  return readTextBlob(credential, {
    what: 'the certificate blob',
    limitBytes: CERTIFICATE_BLOB_BYTES,
    unreadable: (message, cause) =>
      new ConfigurationError('SIGNING_CERTIFICATE_UNREADABLE', message, {
        cause,
        transient: true,
        remedy:
          'Upload the certificate there (docs/how-to/deploy.md) and give the identity the role Storage Blob Data Reader on it.',
      }),
    tooLarge: (message) =>
      new ConfigurationError('SIGNING_CERTIFICATE_INVALID', message, {
        remedy: 'Upload only the certificates of the key and of its issuers.',
      }),
  });
}

/** Reads a blob with the app's identity. */
function readTextBlob(credential: TokenCredential, kind: TextKind): ReadText {
  return async (url) => {
    const client = new BlobClient(url, credential, { retryOptions: { maxTries: 3 } });
    try {
      const answer = await client.download(0, undefined, { abortSignal: AbortSignal.timeout(TEXT_BLOB_MS) });
      return await readBounded(answer.readableStreamBody ?? Readable.from([]), kind);
    } catch (cause) {
      if (cause instanceof ConfigurationError) throw cause;
      const { statusCode: status } = storageFailure(cause);
      const answered = status === undefined ? '' : ` (${status})`;
      throw kind.unreadable(`${kind.what} ${withoutQuery(url)} cannot be read${answered}`, cause);
    }
  };
}

async function readBounded(body: AsyncIterable<unknown>, { what, tooLarge, limitBytes }: TextKind): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    sizeBytes += bytes.length;
    if (sizeBytes > limitBytes) throw tooLarge(`${what} is larger than ${limitBytes} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function withoutQuery(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
