import { InputError } from '../oci/index.js';

/** A file or folder to push. */
export interface FileReference {
  path: string;
  /** Default: the type of a tar layer; for a folder, of a gzipped one. */
  mediaType?: string;
}

/**
 * `path[:mediaType]`, split at the last colon. A path that contains a colon needs a colon at its end, or a type.
 * @throws InputError `FILE_REFERENCE_INVALID`
 */
export function parseFileReference(text: string): FileReference {
  const colon = text.lastIndexOf(':');
  // A single letter before the colon is a drive.
  const isDrive = process.platform === 'win32' && colon === 1;
  const path = colon < 0 || isDrive ? text : text.slice(0, colon);
  const mediaType = colon < 0 || isDrive ? '' : text.slice(colon + 1);
  if (path === '') {
    throw new InputError('FILE_REFERENCE_INVALID', `found empty file path in ${JSON.stringify(text)}`, {
      remedy: 'Write it as <file>[:<media type>].',
    });
  }
  return { path, ...(mediaType !== '' && { mediaType }) };
}

/** The default media type of a file. */
export const FILE_TYPE = 'application/vnd.oci.image.layer.v1.tar';

/**
 * Parses `<file>[:<media type>]` of a config. With a colon at the end, the type is the default of files, as in oras.
 * @throws InputError `FILE_REFERENCE_INVALID`
 */
export function parseConfigReference(text: string): FileReference {
  const { path, mediaType = text === `${path}:` ? FILE_TYPE : undefined } = parseFileReference(text);
  return { path, ...(mediaType !== undefined && { mediaType }) };
}
