import { InputError, isRecord, parseAnnotations } from '../oci/index.js';

/** Annotations of a manifest, of its config, and of files by the path of each file as the user wrote it. */
export interface ArtifactAnnotations {
  manifest?: Record<string, string>;
  config?: Record<string, string>;
  files?: ReadonlyMap<string, Record<string, string>>;
}

/**
 * Parses `key=value` texts as annotations.
 * @throws InputError `ANNOTATION_INVALID`, `ANNOTATION_DUPLICATE`
 */
export function parseAnnotationFlags(flags: readonly string[]): Record<string, string> {
  const found = new Map<string, string>();
  for (const flag of flags) {
    const equals = flag.indexOf('=');
    if (equals < 0) {
      throw new InputError('ANNOTATION_INVALID', "annotation value doesn't match the required format", {
        remedy: 'Please use the correct format in the flag: --annotation "key=value"',
      });
    }
    const key = flag.slice(0, equals);
    if (found.has(key)) throw new InputError('ANNOTATION_DUPLICATE', `duplicate annotation key: ${key}`);
    found.set(key, flag.slice(equals + 1));
  }
  return Object.fromEntries(found);
}

/**
 * Parses an annotation file: `{"$manifest":{…},"$config":{…},"<file>":{…}}`.
 * @param where the name of the file, for errors
 * @throws InputError `ANNOTATION_FILE_INVALID`
 */
export function parseAnnotationFile(text: string, where: string): ArtifactAnnotations {
  const fail = (why: string, cause?: unknown): never => {
    throw new InputError('ANNOTATION_FILE_INVALID', `invalid annotation json file ${where}: ${why}`, {
      cause,
      remedy: 'Write it as {"$manifest":{"key":"value"},"$config":{"key":"value"},"<file>":{"key":"value"}}.',
    });
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fail('it is not JSON', error);
  }
  if (!isRecord(json)) return fail('it is not an object');
  const parsed = new Map<string, Record<string, string>>();
  for (const [name, value] of Object.entries(json)) {
    try {
      parsed.set(name, parseAnnotations(value, JSON.stringify(name)) ?? {});
    } catch (error) {
      return fail(error instanceof Error ? error.message : '', error);
    }
  }
  const [manifest, config] = [parsed.get('$manifest'), parsed.get('$config')];
  return { files: parsed, ...(manifest && { manifest }), ...(config && { config }) };
}
