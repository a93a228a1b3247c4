import { stat } from 'node:fs/promises';
import { InputError, rememberReads, type Digest } from '../../oci/index.js';
import { classifyGraph } from '../../evidence/classify.js';
import { resolveRoot, type Opened } from '../../operations/operation.js';
import {
  describeSbom,
  generateSboms,
  readSbom,
  SBOM_LIMITS,
  type GapCount,
  type Sbom,
  type SbomFormat,
  type SbomGenerator,
  type SbomPackage,
} from '../../sbom/index.js';
import { readOperand, writeOutput } from '../files.js';
import type { Target } from '../connection/target.js';
import type { Io } from '../io.js';
import { onTerminal } from '../output/status-line.js';
import type { Values } from '../verb.js';
import { doStep, layersOf, nameOf, sbomGenerator } from './local-run.js';

/** A target, and what makes its SBOM. */
interface OpenedForSbom extends Opened {
  target: Target;
  generator: SbomGenerator;
}

/** Opens a target while the thread that makes its SBOM starts. */
export async function openForSbom(
  io: Io,
  open: () => Promise<Omit<OpenedForSbom, 'generator'>>,
): Promise<OpenedForSbom> {
  const generator = sbomGenerator(io.env, { startsAtOnce: true });
  return { ...(await open()), generator };
}

/**
 * Makes the SBOM of one image. Nothing is attached.
 * @param isQuiet true without a progress bar, for output to the same terminal
 * @throws InputError `IMAGE_AMBIGUOUS`, `NOT_AN_IMAGE`
 */
async function makeSbom(
  io: Io,
  opened: OpenedForSbom,
  { format, platform }: { format: SbomFormat; platform?: string },
  values: Values,
  isQuiet = false,
): Promise<Sbom & { digest: Digest }> {
  const repository = rememberReads(opened.repository);
  const root = await resolveRoot({ ...opened, repository }, platform === undefined ? {} : { platform }, io.signal);
  const { images } = await classifyGraph(repository, root, io.signal);
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
  const layers = layersOf(io.env);
  const named = {
    repository,
    name: `${registry}/${name}`,
    image,
    formats: [format],
    ...(layers && { layers }),
  };
  const bar = { values, word: 'Reading', title: image.label, digest: image.digest };
  const { sboms } = await doStep(
    io,
    async ({ signal, progress }) => ({
      done: await generateSboms(opened.generator, named, signal, (done, total) => progress.bytes(done, total)),
    }),
    isQuiet ? {} : { bar },
  );
  const [made] = sboms;
  if (made === undefined) throw new Error('no SBOM was made');
  return { ...made, digest: image.digest };
}

/** Writes the SBOM of one image to a file or to standard output. @param path `-` for standard output */
export async function writeSbom(
  io: Io,
  opened: OpenedForSbom,
  asked: { format: SbomFormat; platform?: string },
  path: string,
  values: Values,
): Promise<void> {
  // Standard output may be the terminal of the bar.
  const made = await makeSbom(io, opened, asked, values, path === '-');
  if (path === '-') return io.out(made.bytes);
  await writeOutput(path, made.bytes);
  io.out(`Wrote ${path}: ${onTerminal(describeSbom(made))}\n`);
}

/** The packages of one image. */
export async function listPackages(
  io: Io,
  opened: OpenedForSbom,
  asked: { platform?: string },
  values: Values,
): Promise<{ digest: Digest; packages: SbomPackage[]; gaps: GapCount[]; text: string }> {
  const made = await makeSbom(io, opened, { ...asked, format: 'cyclonedx' }, values);
  return { digest: made.digest, ...readSbom(made.bytes), gaps: made.gaps, text: describeSbom(made) };
}

/** Maximum characters before the first `{` of a document: a byte order mark and white space. */
const MOST_BEFORE = 64;

/** The packages of an SBOM in a file, or undefined if the operand names no JSON file. */
export async function readSbomFile(operand: string, io: Io): Promise<SbomPackage[] | undefined> {
  const found = operand === '-' ? undefined : await stat(operand).catch(() => undefined);
  if (operand !== '-' && found?.isFile() !== true) return undefined;
  const bytes = await readOperand(operand, SBOM_LIMITS.documentBytes, io);
  const start = new TextDecoder().decode(bytes.subarray(0, MOST_BEFORE)).trimStart();
  return start.startsWith('{') ? readSbom(bytes, operand).packages : undefined;
}

/** True if the operand is a tag or digest in an existing folder, which then must be a layout. */
export async function isInFolder(operand: string): Promise<boolean> {
  const path = operand.includes('@') ? operand.slice(0, operand.indexOf('@')) : operand.replace(/:[^:/]*$/, '');
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
