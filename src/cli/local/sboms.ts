import { writeFile } from 'node:fs/promises';
import { InputError } from '../../oci/index.js';
import { describeSbom, generateSboms } from '../../evidence/our-sbom.js';
import { classifyGraph } from '../../evidence/classify.js';
import { resolveRoot, type Opened, type OperationResult } from '../../operations/operation.js';
import type { InputOf } from '../../operations/operation-schema.js';
import { run } from '../../operations/sbom.js';
import type { sbom } from '../../operations/sbom.schema.js';
import { createStreamingSbomGenerator } from '../../sbom/index.js';
import type { Target } from '../connection/target.js';
import type { Io } from '../io.js';
import { onTerminal } from '../output/status-line.js';
import type { Values } from '../verb.js';
import { createLocalPorts, doStep, layersOf, nameOf, openedImage, registriesOf, replyOf } from './local-run.js';
import { readSigner } from './signer.js';

type OpenedTarget = Opened & { target: Target };

/**
 * Attaches an SBOM to each image under the target, and signs it if there is a key.
 * @returns `said`: for each new SBOM, its description by the label of the image
 */
export async function attachSboms(
  io: Io,
  opened: OpenedTarget,
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

/** Writes the SBOM of one image to a file or to standard output. Nothing is attached. @throws InputError `IMAGE_AMBIGUOUS` */
export async function writeSbom(
  io: Io,
  opened: OpenedTarget,
  input: InputOf<typeof sbom>,
  path: string,
  values: Values,
): Promise<undefined> {
  const root = await resolveRoot(opened, input, io.signal);
  const { images } = await classifyGraph(opened.repository, root, io.signal);
  const [image, ...others] = images.filter(({ sbom }) => sbom);
  if (image === undefined || others.length > 0) {
    const labels = images.flatMap(({ sbom, label }) => (sbom ? [label] : []));
    throw new InputError(
      image === undefined ? 'NOT_AN_IMAGE' : 'IMAGE_AMBIGUOUS',
      image === undefined
        ? `no SBOM for ${opened.target.text}: ${images[0]?.why ?? 'no image'}`
        : `there are ${labels.length} images under ${opened.target.text}: ${labels.join(', ')}`,
      { remedy: 'Name one image, with --platform where an index has several.' },
    );
  }
  const { registry, repository: name } = nameOf(opened);
  const ports = { sbom: createStreamingSbomGenerator() };
  const layers = layersOf(io.env);
  const named = {
    repository: opened.repository,
    name: `${registry}/${name}`,
    image,
    formats: ['cyclonedx'] as const,
    ...(layers && { layers }),
  };
  const bar = { values, word: 'Reading', title: image.label, digest: image.digest };
  const {
    sboms: [document],
  } = await doStep(
    io,
    async ({ signal, progress }) => ({
      done: await generateSboms(ports, named, signal, (done, total) => progress.bytes(done, total)),
    }),
    // Standard output may be the same terminal.
    path === '-' ? {} : { bar },
  );
  if (document === undefined) return undefined;
  if (path === '-') {
    io.out(document.bytes);
    return undefined;
  }
  await writeFile(path, document.bytes);
  io.out(`Wrote ${path}: ${onTerminal(describeSbom(document))}\n`);
  return undefined;
}
