import { hideCredentials, type Descriptor } from '../../oci/index.js';

/** `Verb <12 hex> <title or media type>`, as oras has them. @param verb padded to its column */
export function formatStatus(verb: string, { digest, annotations, mediaType }: Descriptor): string {
  const hex = digest.slice(digest.indexOf(':') + 1).slice(0, 12);
  return `${verb} ${hex} ${onTerminal(titleOf({ annotations, mediaType }))}\n`;
}

/** What a node is called: the name it was given, or its media type. */
export function titleOf({
  annotations,
  mediaType,
}: Pick<Descriptor, 'mediaType'> & { annotations?: Descriptor['annotations'] | undefined }): string {
  return annotations?.['org.opencontainers.image.title'] ?? mediaType;
}

/** A name comes from others: what a terminal would act upon is left out. */
export function onTerminal(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?');
}

/** The same of a text of several lines. */
export function onLines(text: string): string {
  return text.split('\n').map(onTerminal).join('\n');
}

/** What somebody typed, before it is known to be what it should: a password that was put there by mistake is left out too. */
export function typedOnTerminal(text: string): string {
  return onTerminal(hideCredentials(text));
}

/** What a folder holds and no archive can. */
export function leftOutLine(name: string): string {
  return `Left out ${onTerminal(name)}: no file, folder or link\n`;
}
