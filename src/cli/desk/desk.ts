import { setTimeout as sleep } from 'node:timers/promises';
import { PromoterError, type Descriptor, type Digest, type Registries } from '../../oci/index.js';
import { createStreamingSbomGenerator } from '../../sbom/index.js';
import type { Signer } from '../../signing/index.js';
import type { Ports } from '../../ports/ports.js';
import type { StepCall, StepProgressSink, StepReply } from '../../ports/step.js';
import { createDeskLease } from '../connection/connection.js';
import type { Io } from '../io.js';
import type { OpenTarget } from '../connection/session.js';
import { withTransfers, type Transfers } from '../output/transfers.js';
import type { Values } from '../verb.js';
import { createDeskDocuments, createDeskStore, type DeskStore } from './desk-store.js';

/** What the app's steps work with where they are done here, in one process. */
export interface DeskPorts extends Pick<Ports, 'registries' | 'lease' | 'documents' | 'sbom' | 'signer' | 'now'> {
  store: DeskStore;
}

export function createDeskPorts(
  registries: Registries,
  signer: Signer | undefined,
  store: DeskStore = createDeskStore(),
): DeskPorts {
  return {
    registries,
    signer,
    store,
    documents: createDeskDocuments(),
    lease: createDeskLease(),
    sbom: createStreamingSbomGenerator(),
    now: () => new Date(),
  };
}

/** Registries that consist of one repository, wherever that is: a layout too. */
export function registriesOf({ repository }: OpenTarget): Registries {
  return { repository: () => repository };
}

/** How rows and SBOMs call the repository of a target. */
export function nameOf({ target }: OpenTarget): { registry: string; repository: string } {
  if (target.kind === 'registry') {
    const { registry, repository } = target.reference;
    return { registry, repository };
  }
  return { registry: target.kind, repository: target.path.replace(/\/+$/, '').split('/').at(-1) ?? target.path };
}

/** The longest wait for another process that holds what a step needs. */
const HELD_MS = 10 * 60_000;

/** How a step is seen. */
export interface StepView {
  /** What the step says of itself last. */
  tell?: (text: string) => void;
  /** What the bytes are that it moves: a bar, where there is a terminal. As it comes they aren't shown. */
  bar?: { values: Values; word: string; title: string; digest: Digest };
}

/**
 * Does a step of the app here; again after a pause where another process holds what it needs.
 * @throws PromoterError `LEASE_HELD`; as the step
 */
export async function doStep<T>(
  io: Io,
  step: (call: StepCall) => Promise<StepReply<T>>,
  { tell, bar }: StepView = {},
): Promise<T> {
  let said: string | undefined;
  const text = (line: string): void => void (said = line);
  const done =
    bar === undefined
      ? await untilDone(io, step, { text, bytes: () => undefined, nodes: () => undefined })
      : await withTransfers(io, bar.values, { lines: false }, (transfers) => {
          const shown = showBytes(transfers, bar);
          return untilDone(io, step, { text, bytes: shown.bytes, nodes: () => undefined }).then((result) => {
            shown.end();
            return result;
          });
        });
  // Below the bar, which has its last picture by now.
  if (said !== undefined) tell?.(said);
  return done;
}

/** A step counts from its beginning, a bar what is new. */
function showBytes(
  transfers: Transfers,
  { word, title, digest }: NonNullable<StepView['bar']>,
): { bytes: StepProgressSink['bytes']; end: () => void } {
  let seen: { descriptor: Descriptor; bytes: number } | undefined;
  return {
    bytes(done, total) {
      if (seen === undefined) {
        const annotations = { 'org.opencontainers.image.title': title };
        seen = { descriptor: { mediaType: word, digest, size: total, annotations }, bytes: 0 };
        transfers.start(word, seen.descriptor);
      }
      transfers.move(seen.descriptor, Math.max(0, done - seen.bytes));
      seen.bytes = Math.max(done, seen.bytes);
    },
    end() {
      if (seen !== undefined) transfers.end(word, seen.descriptor);
    },
  };
}

async function untilDone<T>(
  { signal }: Io,
  step: (call: StepCall) => Promise<StepReply<T>>,
  progress: StepProgressSink,
): Promise<T> {
  const endMs = performance.now() + HELD_MS;
  for (;;) {
    const reply = await step({ signal, progress });
    if ('done' in reply) return reply.done;
    if (performance.now() > endMs) {
      throw new PromoterError('LEASE_HELD', 'another process has held the same image or tag for ten minutes', {
        remedy: 'See what else of this command runs on this machine; do it again.',
      });
    }
    await sleep(reply.later, undefined, { signal });
  }
}
