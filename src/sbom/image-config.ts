import { isRecord } from '../oci/index.js';
import { overLimit } from './sbom-errors.js';
import type { SbomLimits } from './limits.js';

/** What an SBOM needs of an image's config. */
export interface ImageConfig {
  /** RFC 3339 in UTC, to the second; the epoch where the config has none that is a date. */
  created: string;
  architecture?: string;
  os?: string;
  variant?: string;
  /** What each layer unpacks to, lowest first, as it is written. Absent if the config does not say, which is no runtime's image. */
  diffIds?: readonly unknown[];
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * Reads an image's config. One that is no JSON object counts as empty: it says nothing about packages.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  const fields = isRecord(json) ? json : {};
  // Only with a time zone: anything else would be read in this machine's.
  const dated = typeof fields.created === 'string' && RFC_3339.test(fields.created) ? fields.created : '';
  const created = new Date(dated);
  const inRange = created.getTime() >= 0 && created.getUTCFullYear() < 10_000;
  const text = (name: string): string | undefined => {
    const value = fields[name];
    return typeof value === 'string' && /^[\w.-]{1,100}$/.test(value) ? value : undefined;
  };
  const architecture = text('architecture');
  const os = text('os');
  const variant = text('variant');
  const diffIds = isRecord(fields.rootfs) ? fields.rootfs.diff_ids : undefined;
  return {
    created: (inRange ? created : new Date(0)).toISOString().replace(/\.[0-9]+Z$/, 'Z'),
    ...(architecture !== undefined && { architecture }),
    ...(os !== undefined && { os }),
    ...(variant !== undefined && { variant }),
    ...(Array.isArray(diffIds) && { diffIds }),
  };
}

/** Reads a config blob whole. @throws InputError `SBOM_LIMIT` */
export async function readConfig(source: AsyncIterable<Uint8Array>, limits: SbomLimits): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > limits.configBytes) throw overLimit('configBytes', 'the config has more bytes', limits.configBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
