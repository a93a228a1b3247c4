import { InputError, type Descriptor } from '../../oci/index.js';
import { formatDescriptor, indentJson } from '../../oras/index.js';
import { writeOutput } from '../files.js';
import type { Io } from '../io.js';
import { textOf, type Values } from '../verb.js';

/** How fetched content is printed or written to a file: `--output`, `--descriptor`, `--pretty`. */
export interface Printing {
  output: string | undefined;
  onlyDescriptor: boolean;
  pretty: boolean;
}

/** @throws InputError `OPTIONS_EXCLUSIVE` */
export function readPrinting(values: Values): Printing {
  const output = textOf(values, 'output');
  const onlyDescriptor = values.descriptor === true;
  if (output === '-' && onlyDescriptor) {
    throw new InputError('OPTIONS_EXCLUSIVE', '`--output -` cannot be used with `--descriptor` at the same time', {
      remedy: 'Both would be written to standard output: name a file.',
    });
  }
  return { output, onlyDescriptor, pretty: values.pretty === true };
}

/** Prints a descriptor, indented with `--pretty`. */
export function descriptorText(descriptor: Descriptor, { pretty }: Values): string {
  return pretty === true ? `${formatDescriptor(descriptor, 2)}\n` : formatDescriptor(descriptor);
}

/** True if the content is neither printed nor written, so that the descriptor is enough. */
export function descriptorAlone(values: Values): { descriptor?: true } {
  const { onlyDescriptor, output } = readPrinting(values);
  return onlyDescriptor && output === undefined ? { descriptor: true } : {};
}

/**
 * @param bytes the content, unless only the descriptor is printed
 * @param format prints something other than the content, also if the content is written to a file
 */
export async function printFetched(
  io: Io,
  { output, onlyDescriptor, pretty }: Printing,
  fetched: { descriptor: Descriptor; bytes: () => Uint8Array },
  format?: (bytes: Uint8Array) => string,
): Promise<void> {
  const json = (text: string): void => io.out(pretty ? `${indentJson(text)}\n` : text);
  const descriptor = formatDescriptor(fetched.descriptor);
  if (onlyDescriptor && output === undefined) return json(descriptor);
  const bytes = fetched.bytes();
  const toFile = output !== undefined && output !== '-';
  if (toFile) await writeOutput(output, bytes);
  if (onlyDescriptor) return json(descriptor);
  if (format !== undefined) return io.out(format(bytes));
  if (toFile) return undefined;
  return pretty ? json(new TextDecoder().decode(bytes)) : io.out(bytes);
}
