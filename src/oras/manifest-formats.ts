import { isRecord, type Descriptor } from '../oci/index.js';
import { formatGoJson } from './go-json.js';

/** `{"mediaType":…,"digest":…,"size":…}`, with the platform where one was chosen through an index. */
export function formatDescriptor({ mediaType, digest, size, platform }: Descriptor, indent = 0): string {
  return formatGoJson({ mediaType, digest, size, ...(platform && { platform }) }, indent);
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
  const { mediaType, digest, size } = descriptor;
  const content = sorted(JSON.parse(new TextDecoder().decode(bytes)));
  return formatGoJson({ reference, mediaType, digest, size, content }, 2);
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
  return laidOut;
}
