import { z } from 'zod';
import {
  CopyError,
  copyGraph,
  isRecord,
  moveStretch,
  type CopyPlan,
  type CopyReport,
  type Descriptor,
  type OpenUpload,
} from '../oci/index.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { copyPartContract } from './contracts.js';
import { CopyNotes, keepingNotes } from './copy-report.js';
import { readPart } from './kept-plan.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';
import { writeAtDestination } from './refused-write.js';

/** How long one call works on a part of a copy before it asks for another, in milliseconds. */
const COPY_PART_MS = 15 * 60_000;

type PartPorts = Pick<Ports, 'registries' | 'documents' | 'copyParts'>;
type Input = InputOf<typeof copyPartContract>;
type Result = ResultOf<typeof copyPartContract>;

const NOTHING: Result = { more: false, copied: 0, existed: 0, mounted: 0, bytes: 0 };

/**
 * Does one part of a copy that is too much for one activity, for so long as a call has, and asks for another call where there is
 * more. What is there stays: done twice, or broken off, it goes on where it was.
 * @throws CopyError; PolicyError `DESTINATION_LOCKED`
 */
export async function copyPartStep(ports: PartPorts, input: Input, call: StepCall): Promise<Result> {
  const part = await readPart(ports, input.part);
  return part.kind === 'graph' ? copySome(ports, input, part.plan, call) : copyStretch(ports, input, part.blob, call);
}

function sidesOf(ports: PartPorts, { source, destination }: Input) {
  return {
    source: ports.registries.repository(source.registry, source.repository),
    destination: ports.registries.repository(destination.registry, destination.repository),
    mountFrom: source.registry === destination.registry ? [source.repository] : [],
  };
}

/** Manifests with their blobs, or blobs. @throws CopyError `COPY_TOO_SLOW` */
async function copySome(
  ports: PartPorts,
  input: Input,
  plan: CopyPlan,
  { signal, progress }: StepCall,
): Promise<Result> {
  const { source, destination, mountFrom } = sidesOf(ports, input);
  const time = AbortSignal.timeout(COPY_PART_MS);
  const done = { ...NOTHING };
  try {
    const work = (notes?: CopyNotes): Promise<CopyReport> =>
      writeAtDestination(destination.name, () =>
        copyGraph(plan, source, destination, {
          mountFrom,
          signal: AbortSignal.any([signal, time]),
          onProgress: (told) => {
            const { state, movedBytes } = told;
            if (state === 'copied' || state === 'existed' || state === 'mounted') done[state] += 1;
            done.bytes = movedBytes;
            progress.bytes(movedBytes, told.totalBytes);
            progress.nodes(told.nodesDone, told.nodesTotal);
            notes?.tell(told);
          },
        }),
      );
    await (input.receipt === true ? keepingNotes(ports, input.part, work) : work());
  } catch (error) {
    if (!time.aborted || signal.aborted) throw error;
    if (done.copied + done.mounted === 0) {
      throw new CopyError('COPY_TOO_SLOW', `not one piece of ${input.part} was moved in ${COPY_PART_MS} ms`, {
        cause: error,
        transient: true,
        remedy: 'Lower COPY_PART_BYTES: blobs that are larger are moved by stretches, and lose nothing in between.',
      });
    }
    done.more = true;
  }
  progress.text(textOf(done));
  return done;
}

function textOf({ more, copied, mounted, existed, bytes }: Result): string {
  const counts = `${copied} copied, ${mounted} mounted, ${existed} were there, ${bytes} bytes moved`;
  return more ? `${counts}; to be gone on with` : counts;
}

const uploadSchema: z.ZodType<OpenUpload> = z.object({
  url: z.url(),
  receivedBytes: z.number().int().nonnegative(),
  chunkBytes: z.number().int().positive(),
  restarts: z.number().int().nonnegative(),
});

/** A stretch of one blob. Where its upload stands is a document after each piece, so that a crash costs one piece. */
async function copyStretch(
  ports: PartPorts,
  input: Input,
  blob: Descriptor,
  { signal, progress }: StepCall,
): Promise<Result> {
  const { source, destination, mountFrom } = sidesOf(ports, input);
  const name = `${input.part}.upload`;
  const from = await readUpload(ports, name);
  const endMs = performance.now() + COPY_PART_MS;
  let bytes = 0;
  let at = from?.receivedBytes ?? 0;
  progress.nodes(0, 1);
  const moved = await writeAtDestination(destination.name, () =>
    moveStretch(blob, source, destination, {
      signal,
      mountFrom,
      ...(from && { from }),
      isEnough: (sentBytes) => sentBytes >= ports.copyParts.bytes || performance.now() >= endMs,
      onReached: async (upload) => {
        bytes += Math.max(0, upload.receivedBytes - at);
        at = upload.receivedBytes;
        progress.bytes(at, blob.size);
        await ports.documents.put('documents', name, Buffer.from(JSON.stringify(upload)));
      },
    }),
  );
  if (input.receipt === true) {
    const notes = new CopyNotes();
    const { mediaType, digest, size } = blob;
    const told = { node: { kind: 'blob' as const, mediaType, digest, size }, movedBytes: bytes };
    notes.tell({ ...told, state: moved.state === 'more' ? 'moving' : moved.state });
    await notes.keep(ports, input.part);
  }
  const counts = { ...NOTHING, bytes };
  if (moved.state === 'more') {
    progress.text(`${moved.upload.receivedBytes} of ${blob.size} bytes`);
    return { ...counts, more: true };
  }
  progress.nodes(1, 1);
  progress.text(`${moved.state}: ${blob.digest}`);
  return { ...counts, [moved.state]: 1 };
}

/** Undefined where there is none, or one that another version wrote: then the blob is begun anew. */
async function readUpload(ports: Pick<Ports, 'documents'>, name: string): Promise<OpenUpload | undefined> {
  const bytes = await ports.documents.get('documents', name);
  if (bytes === undefined) return undefined;
  const json: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  const parsed = uploadSchema.safeParse(json);
  return isRecord(json) && parsed.success ? parsed.data : undefined;
}
