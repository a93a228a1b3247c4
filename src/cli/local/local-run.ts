import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigurationError, PromoterError, type Descriptor, type Digest, type Registries } from '../../oci/index.js';
import {
  createStreamingSbomGenerator,
  parseSbomLimits,
  SBOM_LIMIT_NAMES,
  type SbomGenerator,
  type SbomInput,
  type StreamingSbomOptions,
} from '../../sbom/index.js';
import type { Opened, OperationResult } from '../../operations/operation.js';
import type { RunRow } from '../../rows/run-row.js';
import type { Signer } from '../../signing/index.js';
import type { Ports } from '../../ports/ports.js';
import type { StepCall, StepProgressSink, StepReply } from '../../ports/step.js';
import { createLocalLease } from '../connection/connection.js';
import type { Io } from '../io.js';
import type { Target } from '../connection/target.js';
import { withTransfers, type Transfers } from '../output/transfers.js';
import type { Values } from '../verb.js';
import { folderLayers, layerFolder } from './layer-cache.js';
import { createLocalDocuments, createLocalStore, type LocalStore } from './local-store.js';

/** The ports with which the app's steps run in this process. */
export interface LocalPorts extends Pick<
  Ports,
  'registries' | 'lease' | 'documents' | 'sbom' | 'signer' | 'callBounds' | 'now'
> {
  store: LocalStore;
}

export function createLocalPorts(
  registries: Registries,
  signer: Signer | undefined,
  { store = createLocalStore(), env = {} }: { store?: LocalStore; env?: Io['env'] } = {},
): LocalPorts {
  return {
    registries,
    signer,
    store,
    documents: createLocalDocuments(layersOf(env)),
    lease: createLocalLease(),
    sbom: sbomGenerator(env),
    // One call does all the work, without limits.
    callBounds: { ms: Infinity, turnMs: Infinity, requests: Infinity, bytes: Infinity, largeBlobBytes: Infinity },
    now: () => new Date(),
  };
}

/** Makes SBOMs within the limits of the setting `SBOM_LIMITS`. @throws ConfigurationError `SETTING_INVALID` */
export function sbomGenerator(env: Io['env'], options: Pick<StreamingSbomOptions, 'startsAtOnce'> = {}): SbomGenerator {
  const text = env.SBOM_LIMITS ?? '';
  const limits = parseSbomLimits(text === '' ? '{}' : text);
  if (limits !== undefined) return createStreamingSbomGenerator({ ...options, limits });
  throw new ConfigurationError(
    'SETTING_INVALID',
    `SBOM_LIMITS is not JSON of limits by name, which are ${SBOM_LIMIT_NAMES}`,
    { remedy: `For example: SBOM_LIMITS='{"entries":8000000}'` },
  );
}

/** What earlier commands have kept of layers. Undefined if there is no place for it. */
export function layersOf(env: Io['env']): SbomInput['layers'] {
  const folder = layerFolder(env);
  return folder === undefined ? undefined : folderLayers(folder);
}

/** Registries that have only one repository, which may be in a layout. */
export function registriesOf({ repository }: Pick<Opened, 'repository'>): Registries {
  return { repository: () => repository };
}

/** The name of a target's repository in rows and SBOMs. */
export function nameOf({ target }: { target: Target }): { registry: string; repository: string } {
  if (target.kind === 'registry') {
    const { registry, repository } = target.reference;
    return { registry, repository };
  }
  return { registry: target.kind, repository: target.path.replace(/\/+$/, '').split('/').at(-1) ?? target.path };
}

/** Returns the result of an operation in the form of a step's reply. */
export async function replyOf(
  done: Promise<OperationResult | { retryAfterMs: number }>,
): Promise<StepReply<OperationResult>> {
  const result = await done;
  return 'retryAfterMs' in result ? result : { done: result };
}

/** Maximum wait for a lease that another process holds, in milliseconds. */
const HELD_MS = 10 * 60_000;

/** How the progress of a step is shown. */
export interface StepView {
  /** Receives the last text of the step. */
  tell?: (text: string) => void;
  /** The progress bar of the step. Default: none. */
  bar?: { values: Values; word: string; title: string; digest: Digest };
  /** The progress bars of the step's parts. Default: none. */
  parts?: { values: Values; word: string; tell?: (step: string, label: string, text: string) => void };
  /** The run of the step; a command that only signs has none. */
  run?: RunRow;
}

const unseen = (): void => undefined;

/**
 * Runs a step of the app in this process. While another process holds its lease, it is repeated after a pause.
 * @throws PromoterError `LEASE_HELD`; as the step
 */
export async function doStep<T>(
  io: Io,
  step: (call: StepCall) => Promise<StepReply<T>>,
  { tell, bar, parts, run }: StepView = {},
): Promise<T> {
  let said: string | undefined;
  const text = (line: string): void => void (said = line);
  const whole: Pick<StepProgressSink, 'text' | 'nodes'> = { text, nodes: unseen };
  const call = (progress: StepProgressSink): Promise<T> =>
    untilDone(io, (each) => step({ ...each, ...(run && { run }) }), progress);
  const values = bar?.values ?? parts?.values;
  // The lines of parts, in the order in which the parts began. They are printed at the end, below the bars.
  const lines: (() => void)[] = [];
  const work = (): Promise<T> =>
    values === undefined
      ? call({ ...whole, bytes: unseen, part: (_step, _of, part) => part(silent()) })
      : withTransfers(io, values, { lines: false }, async (transfers) => {
          const shown = bar === undefined ? undefined : showBytes(transfers, bar);
          const result = await call({
            ...whole,
            bytes: shown?.bytes ?? unseen,
            part: (name, of, part) => doPart(transfers, parts, lines, name, of, part),
          });
          shown?.end();
          return result;
        });
  // Also printed if a part failed.
  const done = await work().finally(() => lines.forEach((line) => line()));
  if (said !== undefined) tell?.(said);
  return done;
}

function silent(): StepProgressSink {
  return { text: unseen, bytes: unseen, nodes: unseen, part: (_step, _of, work) => work(silent()) };
}

async function doPart<T>(
  transfers: Transfers,
  parts: StepView['parts'],
  lines: (() => void)[],
  step: string,
  { label, digest }: { label: string; digest: Digest },
  work: (progress: StepProgressSink) => Promise<T>,
): Promise<T> {
  const shown = parts && showBytes(transfers, { word: parts.word, title: label, digest });
  let said = '';
  const place = lines.push(unseen) - 1;
  const done = await work({ ...silent(), text: (text) => void (said = text), bytes: shown?.bytes ?? unseen });
  shown?.end();
  lines[place] = () => parts?.tell?.(step, label, said);
  return done;
}

/** Turns the total that a step reports into the increments of a bar. */
function showBytes(
  transfers: Transfers,
  { word, title, digest }: Omit<NonNullable<StepView['bar']>, 'values'>,
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
  let endMs = performance.now() + HELD_MS;
  for (;;) {
    const reply = await step({ signal, progress });
    if ('done' in reply) return reply.done;
    // The step made progress and continues: no other process holds its lease.
    if (reply.retryAfterMs === 0) endMs = performance.now() + HELD_MS;
    else if (performance.now() > endMs) {
      throw new PromoterError('LEASE_HELD', 'another process has held the same image or tag for ten minutes', {
        remedy: 'Check for other acr-promoter processes on this machine, then repeat the command.',
      });
    }
    await sleep(reply.retryAfterMs, undefined, { signal });
  }
}
