import { isRecord, parseObject } from '../oci/index.js';

/** The fields of an image's config that an SBOM needs. */
export interface ImageConfig {
  /** RFC 3339 in UTC, in whole seconds. 1970-01-01 if the config has no valid date. */
  created: string;
  architecture?: string;
  os?: string;
  variant?: string;
  /**
   * Digest of each unpacked layer, lowest first, not validated. Absent if the config has no list; no runtime runs such
   * an image.
   */
  diffIds?: readonly unknown[];
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * Parses an image's config. A config that is not a JSON object counts as empty, because it says nothing about packages.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const fields = parseObject(bytes) ?? {};
  // Only with a time zone; otherwise the date would depend on this machine's time zone.
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
