import { writeFile } from 'node:fs/promises';
import { InputError, type Descriptor } from '../../oci/index.js';
import { createStreamingSbomGenerator } from '../../sbom/index.js';
import { attachSbomStep, describeSbom, generateSbom } from '../../evidence/attach-sbom.js';
import { classifyGraph } from '../../evidence/classify.js';
import { sbomLine, type SbomOfImage } from '../output/evidence-lines.js';
import type { Io } from '../io.js';
import type { OpenTarget } from '../connection/session.js';
import { onTerminal } from '../output/status-line.js';
import type { Values } from '../verb.js';
import { createLocalPorts, doStep, nameOf, registriesOf } from './local-run.js';
import { readSigner } from './signer.js';

type Opened = OpenTarget & { root: Descriptor };

/** An SBOM for each image under the target, attached, and signed where there is a key. @param tell a line for each */
export async function attachSboms(
  io: Io,
  opened: Opened,
  values: Values,
  tell: (line: string) => void,
): Promise<SbomOfImage[]> {
  const ports = createLocalPorts(registriesOf(opened), await readSigner(values, io));
  const rule = { sign: ports.signer === undefined ? [] : (['notary'] as const) };
  const { images } = await classifyGraph(opened.repository, opened.root, io.signal);
  const done: SbomOfImage[] = [];
  for (const image of images) {
    const { digest, label, why } = image;
    if (!image.sbom) {
      const skipped = { digest, label, ...(why !== undefined && { why }) };
      tell(sbomLine(skipped));
      done.push(skipped);
      continue;
    }
    let said = '';
    const { sbom, made } = await doStep(
      io,
      (call) => attachSbomStep(ports, { rule, source: nameOf(opened), image }, call),
      { tell: (text) => void (said = text), bar: { values, word: 'Reading', title: label, digest } },
    );
    const attached = { digest, label, sbom, made };
    tell(sbomLine(attached, said));
    done.push(attached);
  }
  return done;
}

/** The SBOM of one image into a file or onto standard output; nothing is attached. @throws InputError `IMAGE_AMBIGUOUS` */
export async function writeSbom(io: Io, opened: Opened, path: string, values: Values): Promise<void> {
  const { images } = await classifyGraph(opened.repository, opened.root, io.signal);
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
  const named = { repository: opened.repository, name: `${registry}/${name}`, image };
  const bar = { values, word: 'Reading', title: image.label, digest: image.digest };
  const { sbom } = await doStep(
    io,
    async ({ signal, progress }) => ({
      done: await generateSbom(ports, named, signal, (done, total) => progress.bytes(done, total)),
    }),
    // Standard output may be the same terminal.
    path === '-' ? {} : { bar },
  );
  if (path === '-') {
    io.out(sbom.bytes);
    return;
  }
  await writeFile(path, sbom.bytes);
  io.out(`Wrote ${path}: ${onTerminal(describeSbom(sbom))}\n`);
}
