import { hideCredentials, type Descriptor } from '../../oci/index.js';

/**
 * `Verb <12 hex> <title or media type>`, in the format of oras.
 * @param verb padded to its column
 */
export function formatStatus(verb: string, { digest, annotations, mediaType }: Descriptor): string {
  const hex = digest.slice(digest.indexOf(':') + 1).slice(0, 12);
  return `${verb} ${hex} ${onTerminal(titleOf({ annotations, mediaType }))}\n`;
}

/** The title of a node, or its media type. */
export function titleOf({
  annotations,
  mediaType,
}: Pick<Descriptor, 'mediaType'> & { annotations?: Descriptor['annotations'] | undefined }): string {
  return annotations?.['org.opencontainers.image.title'] ?? mediaType;
}

/** Replaces control characters, which a name from elsewhere may hold. */
export function onTerminal(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?');
}

/** Replaces control characters in a text of several lines. */
export function onLines(text: string): string {
  return text.split('\n').map(onTerminal).join('\n');
}

/** Replaces control characters in unchecked user input, and removes credentials that were typed by mistake. */
export function typedOnTerminal(text: string): string {
  return onTerminal(hideCredentials(text));
}

/** Reports a folder's entry that an archive cannot hold. */
export function leftOutLine(name: string): string {
  return `Left out ${onTerminal(name)}: not a file, folder or link\n`;
}
