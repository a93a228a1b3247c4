import { InputError, type Descriptor } from '../../oci/index.js';
import { formatDescriptor, indentJson } from '../../oras/index.js';
import { writeOutput } from '../files.js';
import type { Io } from '../io.js';
import { textOf, type Values } from '../verb.js';

/** Prints a descriptor, indented with `--pretty`. */
export function descriptorText(descriptor: Descriptor, { pretty }: Values): string {
  return pretty === true ? `${formatDescriptor(descriptor, 2)}\n` : formatDescriptor(descriptor);
}

/**
 * Whether the content is neither printed nor written, so that the descriptor is enough.
 * @throws InputError `OPTIONS_EXCLUSIVE`
 */
export function descriptorAlone(values: Values): { descriptor?: true } {
  const output = textOf(values, 'output');
  if (values.descriptor !== true) return {};
  if (output !== '-') return output === undefined ? { descriptor: true } : {};
  throw new InputError('OPTIONS_EXCLUSIVE', '`--output -` cannot be used with `--descriptor` at the same time', {
    remedy: 'Both would be written to standard output: name a file.',
  });
}

/**
 * Prints fetched content, or writes it to a file: `--output`, `--descriptor`, `--pretty`.
 * @param bytes the content, unless only the descriptor is printed
 * @param format prints something other than the content, also if the content is written to a file
 */
export async function printFetched(
  io: Io,
  values: Values,
  fetched: { descriptor: Descriptor; bytes: () => Uint8Array },
  format?: (bytes: Uint8Array) => string,
): Promise<void> {
  const output = textOf(values, 'output');
  const [onlyDescriptor, pretty] = [values.descriptor === true, values.pretty === true];
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
