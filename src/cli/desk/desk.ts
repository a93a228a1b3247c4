import { setTimeout as sleep } from 'node:timers/promises';
import { PromoterError, type Registries } from '../../oci/index.js';
import { createStreamingSbomGenerator } from '../../sbom/index.js';
import type { Signer } from '../../signing/index.js';
import type { Ports, StepCall, StepReply } from '../../steps/ports.js';
import { createDeskLease } from '../connection.js';
import type { Io } from '../io.js';
import type { OpenTarget } from '../session.js';
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

/**
 * Does a step of the app here; again after a pause where another process holds what it needs.
 * @param tell what the step says of itself last
 * @throws PromoterError `LEASE_HELD`; as the step
 */
export async function doStep<T>(
  io: Pick<Io, 'signal'>,
  step: (call: StepCall) => Promise<StepReply<T>>,
  tell: (text: string) => void = () => undefined,
): Promise<T> {
  const { signal } = io;
  const endMs = performance.now() + HELD_MS;
  for (;;) {
    let said: string | undefined;
    const progress = { text: (text: string) => void (said = text), bytes: () => undefined, nodes: () => undefined };
    const reply = await step({ signal, progress });
    if ('done' in reply) {
      if (said !== undefined) tell(said);
      return reply.done;
    }
    if (performance.now() > endMs) {
      throw new PromoterError('LEASE_HELD', 'another process has held the same image or tag for ten minutes', {
        remedy: 'See what else of this command runs on this machine; do it again.',
      });
    }
    await sleep(reply.later, undefined, { signal });
  }
}
