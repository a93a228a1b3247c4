import { isRecord, type Descriptor } from '../oci/index.js';
import { formatGoJson } from './go-json.js';
import { toGoDescriptor } from './index-json.js';

/** `{"mediaType":…,"digest":…,"size":…}`, with the other fields that an index gives it. */
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

/** Indents JSON by two spaces a level. Escapes, numbers and order stay as they are. */
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
  // As in Go, white space before the value is removed and white space after it stays.
  return laidOut + (/\s*$/.exec(text)?.[0] ?? '');
}
