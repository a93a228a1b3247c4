import { Readable } from 'node:stream';
import { BlobClient } from '@azure/storage-blob';
import type { TokenCredential } from '@azure/identity';
import { ConfigurationError } from '../oci/index.js';

/** The rules document is bounded by src/promotion as well; this is what is read before it is looked at. */
const MOST_BYTES = 1_000_000;

/** Reads the rules blob under the app's identity; the text is kept, and asked for again by ETag. */
export function readRulesBlob(credential: TokenCredential): (url: string) => Promise<string> {
  let kept: { url: string; etag: string; text: string } | undefined;
  return async (url) => {
    const client = new BlobClient(url, credential, { retryOptions: { maxTries: 3 } });
    try {
      const answer = await client.download(
        0,
        undefined,
        kept?.url === url ? { conditions: { ifNoneMatch: kept.etag } } : {},
      );
      const text = await readBounded(answer.readableStreamBody ?? Readable.from([]));
      kept = { url, etag: answer.etag ?? '', text };
      return text;
    } catch (cause) {
      if (cause instanceof ConfigurationError) throw cause;
      if (kept?.url === url && statusOf(cause) === 304) return kept.text;
      const status = statusOf(cause);
      throw new ConfigurationError(
        'RULES_UNREADABLE',
        `the rules blob ${withoutQuery(url)} cannot be read${status === undefined ? '' : ` (${status})`}`,
        {
          cause,
          transient: true,
          remedy: 'Upload the rules there, and give the identity Storage Blob Data Reader on them.',
        },
      );
    }
  };
}

async function readBounded(body: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    sizeBytes += bytes.length;
    if (sizeBytes > MOST_BYTES) throw new ConfigurationError('RULES_INVALID', 'the rules blob is larger than 1 MB');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function statusOf(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}

function withoutQuery(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
