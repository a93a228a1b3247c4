import { InputError } from '../oci/index.js';

/** A file or folder to push, as it was given. */
export interface FileReference {
  path: string;
  /** Default: that of a tar layer, of a gzipped one for a folder. */
  mediaType?: string;
}

/**
 * `path[:mediaType]`. The last colon counts; nothing behind it leaves the type open, so that a name may have a colon.
 * @throws InputError `FILE_REFERENCE_INVALID`
 */
export function parseFileReference(text: string): FileReference {
  const colon = text.lastIndexOf(':');
  // A single letter before it is a drive.
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

/** The media type of a file for which nothing else is said. */
export const FILE_TYPE = 'application/vnd.oci.image.layer.v1.tar';

/**
 * The same of a config. One that has a colon and nothing behind it isn't of the type of configs, but, as in oras, of that of files.
 * @throws InputError `FILE_REFERENCE_INVALID`
 */
export function parseConfigReference(text: string): FileReference {
  const { path, mediaType = text === `${path}:` ? FILE_TYPE : undefined } = parseFileReference(text);
  return { path, ...(mediaType !== undefined && { mediaType }) };
}
