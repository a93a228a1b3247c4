import type { Opened, OperationResult } from '../../operations/operation.js';
import type { InputOf } from '../../operations/operation-schema.js';
import { run } from '../../operations/sbom.js';
import type { sbom } from '../../operations/sbom.schema.js';
import type { Target } from '../connection/target.js';
import type { Io } from '../io.js';
import type { Values } from '../verb.js';
import { createLocalPorts, doStep, registriesOf, replyOf } from './local-run.js';
import { openedImage } from './opened-image.js';
import { readSigner } from './signer.js';

/**
 * Attaches an SBOM to each image under the target, and signs it if there is a key.
 * @returns `said`: for each new SBOM, its description by the label of the image
 */
export async function attachSboms(
  io: Io,
  opened: Opened & { target: Target },
  input: InputOf<typeof sbom>,
  values: Values,
): Promise<OperationResult & { said: ReadonlyMap<string, string> }> {
  const ports = createLocalPorts(registriesOf(opened), await readSigner(values, io), { env: io.env });
  const said = new Map<string, string>();
  const result = await doStep(io, (call) => replyOf(run(openedImage(opened), input, ports, call)), {
    parts: { values, word: 'Reading', tell: (_step, label, text) => void said.set(label, text) },
  });
  return { ...result, said };
}
