import { isDigest, type Digest } from './digest.js';
import { InputError } from './errors.js';

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions */
export interface Platform {
  architecture: string;
  os: string;
  variant?: string;
  'os.version'?: string;
  'os.features'?: string[];
}

/**
 * Describes content by media type, digest and size.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
 */
export interface Descriptor {
  mediaType: string;
  digest: Digest;
  /** In bytes. */
  size: number;
  annotations?: Record<string, string>;
  artifactType?: string;
  platform?: Platform;
  /** Other places from which the bytes can be downloaded (foreign layers). */
  urls?: string[];
  /** The content itself, in base64. */
  data?: string;
}

function invalid(where: string, why: string): never {
  throw new InputError('DESCRIPTOR_INVALID', `${where}: ${why}`);
}

/** True for an object that is not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses a JSON object without checks, for answers that decide nothing. Undefined if it is not a JSON object. */
export function parseObject(json: Uint8Array | string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(typeof json === 'string' ? json : new TextDecoder().decode(json));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Parses annotations, a map of strings. `undefined` and `null` give `undefined`.
 * @throws InputError `DESCRIPTOR_INVALID`
 */
export function parseAnnotations(value: unknown, where: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value)) return invalid(where, 'annotations is not an object');
  const result: Record<string, string> = {};
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') return invalid(where, `annotation ${JSON.stringify(key)} is not a string`);
    // A key such as __proto__ must become a property like any other.
    Object.defineProperty(result, key, { value: text, enumerable: true, configurable: true, writable: true });
  }
  return result;
}

function parsePlatform(value: unknown, where: string): Platform | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value)) return invalid(where, 'platform is not an object');
  const { architecture, os, variant } = value;
  if (typeof architecture !== 'string' || typeof os !== 'string')
    return invalid(where, 'platform lacks os or architecture');
  const version = value['os.version'];
  const features = value['os.features'];
  return {
    architecture,
    os,
    ...(typeof variant === 'string' && variant !== '' && { variant }),
    ...(typeof version === 'string' && version !== '' && { 'os.version': version }),
    ...(Array.isArray(features) && { 'os.features': features.filter((entry) => typeof entry === 'string') }),
  };
}

/**
 * Parses a descriptor from JSON. Unknown fields are dropped.
 * @param where names the descriptor in errors
 * @throws InputError `DESCRIPTOR_INVALID`
 */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  if (!isRecord(value)) return invalid(where, 'not an object');
  const { mediaType, digest, size, artifactType, urls, data } = value;
  if (typeof mediaType !== 'string' || mediaType === '') return invalid(where, 'mediaType is missing');
  if (typeof digest !== 'string' || !isDigest(digest))
    return invalid(where, 'digest is missing, or neither sha256 nor sha512');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    return invalid(where, 'size is not a whole number');
  const annotations = parseAnnotations(value.annotations, where);
  const platform = parsePlatform(value.platform, where);
  return {
    mediaType,
    digest,
    size,
    ...(annotations !== undefined && { annotations }),
    ...(typeof artifactType === 'string' && artifactType !== '' && { artifactType }),
    ...(platform !== undefined && { platform }),
    ...(Array.isArray(urls) && { urls: urls.filter((url) => typeof url === 'string') }),
    ...(typeof data === 'string' && { data }),
  };
}

/** `os/architecture[/variant]`, as users write it. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, ...(platform.variant === undefined ? [] : [platform.variant])].join('/');
}
