import { isRecord, type Descriptor } from '../oci/index.js';
import { formatGoJson } from './go-json.js';
import { toGoDescriptor } from './index-json.js';

/** `{"mediaType":…,"digest":…,"size":…}`, and what else the index says that it was chosen from, or found in. */
export function formatDescriptor(descriptor: Descriptor, indent = 0): string {
  return formatGoJson(toGoDescriptor(descriptor), indent);
}

/** Objects with their keys in byte order, as Go writes maps. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** `manifest fetch --format json`: the descriptor, with the manifest's content. */
export function formatManifestJson(reference: string, descriptor: Descriptor, bytes: Uint8Array): string {
  const { mediaType, digest, size, annotations, artifactType } = toGoDescriptor(descriptor);
  const content = sorted(JSON.parse(new TextDecoder().decode(bytes)));
  return formatGoJson({ reference, mediaType, digest, size, annotations, artifactType, content }, 2);
}

/** Lays JSON out on lines, two spaces a level, and changes nothing else in it: neither escapes nor numbers nor order. */
export function indentJson(text: string): string {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let laidOut = '';
  let level = 0;
  const newLine = (): string => `\n${'  '.repeat(level)}`;
  for (const [index, token] of tokens.entries()) {
    const isEmpty = (token === '{' && tokens[index + 1] === '}') || (token === '[' && tokens[index + 1] === ']');
    if (token === '{' || token === '[') {
      level += 1;
      laidOut += isEmpty ? token : `${token}${newLine()}`;
    } else if (token === '}' || token === ']') {
      level -= 1;
      const closesEmpty = tokens[index - 1] === '{' || tokens[index - 1] === '[';
      laidOut += closesEmpty ? token : `${newLine()}${token}`;
    } else if (token === ',') laidOut += `,${newLine()}`;
    else if (token === ':') laidOut += ': ';
    else laidOut += token;
  }
  // As Go's does: what stands before it goes, what stands behind it stays.
  return laidOut + (/\s*$/.exec(text)?.[0] ?? '');
}
