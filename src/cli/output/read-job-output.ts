import {
  digestAlgorithm,
  digestOf,
  isRecord,
  parseDescriptor,
  PromoterError,
  type Descriptor,
} from '../../oci/index.js';

/** The answer of the app does not have the expected form. */
export function answerInvalid(cause?: unknown): PromoterError {
  return new PromoterError('APP_ANSWER_INVALID', 'the answer of the app does not have the expected form', {
    ...(cause !== undefined && { cause }),
    remedy: 'Check the address, and that the app has this version or a newer one.',
  });
}

/**
 * Returns a job's output as an object.
 * @throws PromoterError `APP_ANSWER_INVALID` if it has another form, as all functions here
 */
export function recordIn(output: unknown): Record<string, unknown> {
  if (!isRecord(output)) throw answerInvalid();
  return output;
}

export function textIn(output: unknown, name: string): string {
  const text = recordIn(output)[name];
  if (typeof text !== 'string') throw answerInvalid();
  return text;
}

export function textsIn(output: unknown, name: string): string[] {
  const list = recordsOrTexts(output, name);
  return list.map((entry) => {
    if (typeof entry !== 'string') throw answerInvalid();
    return entry;
  });
}

export function recordsIn(output: unknown, name: string): Record<string, unknown>[] {
  return recordsOrTexts(output, name).map(recordIn);
}

function recordsOrTexts(output: unknown, name: string): unknown[] {
  const list = recordIn(output)[name];
  if (!Array.isArray(list)) throw answerInvalid();
  return list;
}

/** The descriptor in an output, and the name of its repository. */
export function describedIn(output: unknown): { name: string; descriptor: Descriptor } {
  const reference = textIn(output, 'reference');
  try {
    return { name: reference.slice(0, reference.lastIndexOf('@')), descriptor: parseDescriptor(output, 'the output') };
  } catch (cause) {
    throw answerInvalid(cause);
  }
}

/** The bytes in an output, checked against the digest. */
export function bytesIn(output: unknown, { digest }: Descriptor): Uint8Array {
  const { base64, content } = recordIn(output);
  const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : Buffer.from(JSON.stringify(content) ?? '');
  if (digestOf(bytes, digestAlgorithm(digest)) !== digest) throw answerInvalid();
  return bytes;
}
