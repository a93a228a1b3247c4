import { type Digest, parseReference, PolicyError, PromoterError, RegistryError } from '../../src/oci/index.js';
import type { Rule } from '../../src/rules/rule.js';
import { incrementGeneration } from '../../src/rows/generation.js';
import type { PromotionRow } from '../../src/rows/promotion-row.js';
import type { RunRow, Trigger } from '../../src/rows/run-row.js';
import { createStreamingSbomGenerator } from '../../src/sbom/index.js';
import { loadPemSigner, type Signer } from '../../src/signing/index.js';
import { createSelfSignedCertificate } from './self-signed.js';
import { writeBegun, beginRun } from '../../src/promotions/observe.js';
import type { Ports } from '../../src/ports/ports.js';
import type { RegistryListing } from '../../src/ports/registry-listing.js';
import type { StepCall } from '../../src/ports/step.js';
import { countedCalls } from './counted-calls.js';
import { MemoryRegistries, type MemoryRepository } from './memory-repository.js';
import { rule } from './rules.fixture.js';
import {
  memoryDocuments,
  memoryEngine,
  memoryFiles,
  memoryLease,
  memoryQueues,
  memoryRunStore,
  type MemoryDocuments,
  type MemoryEngine,
  type MemoryFiles,
  type MemoryLease,
  type MemoryQueues,
} from './memory-ports.js';

export const REGISTRY = 'r.azurecr.io';
export const SOURCE = { registry: REGISTRY, repository: 'samples/app', tag: 'v1' };
export const DESTINATION = `${REGISTRY}/staging/samples/app:v1`;

/** A key of its own; the certificate stands for itself. */
export function newSigner(
  commonName: string,
  notBefore?: Date,
): { signer: Signer; certificatePem: string; keyPem: string } {
  const made = createSelfSignedCertificate({
    commonName,
    country: 'US',
    state: 'WA',
    organization: 'Test',
    days: notBefore === undefined ? 365 : 30,
    ...(notBefore && { notBefore }),
  });
  const signer = loadPemSigner({ keyPem: made.keyPem, certificateChainPem: made.certificatePem });
  return { signer, certificatePem: made.certificatePem, keyPem: made.keyPem };
}
const OURS = newSigner('acr-promoter');

/** Registries that know what has been named in them. */
class ListedRegistries extends MemoryRegistries {
  readonly #names = new Map<string, Set<string>>();

  /** The registries' clock, epoch milliseconds. */
  readonly #now: () => number;

  constructor(now: () => number) {
    super();
    this.#now = now;
  }

  override repository(registry: string, repository: string): MemoryRepository {
    this.#names.set(registry, (this.#names.get(registry) ?? new Set()).add(repository));
    return Object.assign(super.repository(registry, repository), { now: this.#now });
  }

  /** Repositories that hold something. */
  names(registry: string): string[] {
    const named = [...(this.#names.get(registry) ?? [])].sort();
    return named.filter((name) => this.repository(registry, name).manifests.size > 0);
  }
}

/** Every port in memory. Fields may be replaced; the clock is set by hand. */
export interface World extends Ports {
  registries: ListedRegistries;
  lease: MemoryLease;
  documents: MemoryDocuments;
  files: MemoryFiles;
  queues: MemoryQueues;
  engine: MemoryEngine;
  signer: Signer | undefined;
  /** As the rules source gives them. */
  ruleList: Rule[];
  /** Why it can't give them. */
  rulesFault: Error | undefined;
  maxRunsPerTick: number;
  nowMs: number;
  /** Errors by which a registry, or one repository of it, answers the schedule's listing. */
  listingFaults: Map<string, Error>;
  /** False: the registries have no lists by time, and tell no times. */
  hasAcrLists: boolean;
}

export function newWorld(...rules: Rule[]): World {
  const registries = new ListedRegistries(() => world.now().getTime());
  const world: World = {
    registries,
    listing: memoryListing(registries, () => world),
    counted: (onRequest) => ({
      registries: countedCalls(world.registries, onRequest),
      listing: countedCalls(world.listing, onRequest),
    }),
    lease: memoryLease(),
    store: memoryRunStore(),
    documents: memoryDocuments(),
    files: memoryFiles(),
    queues: memoryQueues(),
    engine: memoryEngine(() => world.nowMs),
    ruleList: rules.length > 0 ? rules : [rule()],
    maxRunsPerTick: 200,
    rulesFault: undefined,
    rules: {
      load: async () => {
        if (world.rulesFault !== undefined) throw world.rulesFault;
        return world.ruleList;
      },
      maxRunsPerTick: async () => {
        if (world.rulesFault !== undefined) throw world.rulesFault;
        return world.maxRunsPerTick;
      },
    },
    sbom: createStreamingSbomGenerator(),
    signer: OURS.signer,
    callBounds: {
      ms: 300_000,
      turnMs: 10_000,
      requests: 5_000,
      bytes: 32 * 1024 ** 2,
      largeBlobBytes: 256 * 1024 ** 2,
    },
    scheduleRequests: { scan: 250, resync: 25 },
    jobPolicy: { allowedRegistries: [REGISTRY], operations: ['promote', 'copy'], scopes: {}, credentials: {} },
    jobRegistries: {
      as: ({ credential = '' }) => {
        throw new PolicyError('CREDENTIAL_UNKNOWN', credential);
      },
    },
    paused: false,
    loginServers: new Map(),
    retentionDays: 30,
    nowMs: Date.now(),
    now: () => new Date(world.nowMs),
    listingFaults: new Map(),
    hasAcrLists: true,
  };
  return world;
}

/** Tags of one page of a list. */
const PAGE_TAGS = 100;

/** Lists what the memory registries hold, and answers as a registry does where a repository is not there. */
function memoryListing(
  registries: ListedRegistries,
  world: () => Pick<World, 'listingFaults' | 'hasAcrLists'>,
): RegistryListing {
  const check = (name: string): void => {
    const fault = world().listingFaults.get(name);
    if (fault !== undefined) throw fault;
  };
  const checkRepository = (registry: string, { name, manifests }: MemoryRepository): void => {
    check(registry);
    check(name);
    if (manifests.size === 0) throw notFound('NAME_UNKNOWN', name);
  };
  /** In pages, as ACR's own lists. */
  function* newestOf<T>(registry: string, repository: MemoryRepository, list: () => T[]): Generator<T[]> {
    check(registry);
    if (!world().hasAcrLists) throw new PromoterError('NO_ACR_LISTS', repository.name);
    checkRepository(registry, repository);
    const entries = list();
    for (let from = 0; from === 0 || from < entries.length; from += 100) yield entries.slice(from, from + 100);
  }
  return {
    registry: (registry) => ({
      checkAccess: async () => check(registry),
      async *listRepositories() {
        check(registry);
        yield* registries.names(registry);
      },
    }),
    repository: (registry, repository) => {
      const found = registries.repository(registry, repository);
      const listed = {
        async *listTagDetails({ last = '' }: { last?: string } = {}) {
          checkRepository(registry, found);
          const timesOf = (name: string, digest: Digest): { updatedAt?: string } =>
            world().hasAcrLists ? { updatedAt: new Date(found.tags.timeOf(name, digest)).toISOString() } : {};
          // Each page is read when it is asked for.
          for (let after = last; ;) {
            const page = found.listedTags().filter(([name]) => name > after);
            for (const [name, digest] of page.slice(0, PAGE_TAGS)) yield { name, digest, ...timesOf(name, digest) };
            if (page.length <= PAGE_TAGS) return;
            after = page[PAGE_TAGS - 1]?.[0] ?? after;
          }
        },
        async *listNewestTags() {
          yield* newestOf(registry, found, () => found.newestTags());
        },
        async *listNewestManifests() {
          yield* newestOf(registry, found, () => found.newestManifests());
        },
        isWritable: async (tag: string) => !found.locked.has(tag) && !found.locked.has('*'),
      };
      // The schedule asks for nothing else.
      return listed as unknown as ReturnType<RegistryListing['repository']>;
    },
  };
}

export function notFound(code: string, what: string): RegistryError {
  return new RegistryError(`${what}: ${code}`, {
    method: 'GET',
    url: `https://${what}`,
    status: 404,
    registryCodes: [code],
  });
}

/** A call of a step; what it says of itself is kept, and of its parts with their names. @param run whose step it is */
export function newCall(
  signal: StepCall['signal'] = new AbortController().signal,
  run?: RunRow,
): StepCall & { texts: string[] } {
  const texts: string[] = [];
  const sink = (about: string): StepCall['progress'] => ({
    text: (text) => void texts.push(`${about}${text}`),
    bytes: () => {},
    nodes: () => {},
    part: (step, { label }, work) => work(sink(`${about}${step} ${label}: `)),
  });
  return { signal, texts, progress: sink(''), ...(run && { run }) };
}

/** A call of a step of a run, with the run's row as it stands. */
export async function callOf(
  world: World,
  runId: string,
  signal?: StepCall['signal'],
): Promise<ReturnType<typeof newCall>> {
  return newCall(signal, await runOf(world, runId));
}

/** Opens a run on the source tag, as a trigger does. */
export async function openRun(
  world: World,
  which: Rule = world.ruleList[0] ?? rule(),
  source = SOURCE,
  kind: Trigger['kind'] = 'push',
): Promise<{ promotionId: string; runId: string; rule: Rule; source: typeof SOURCE; destination: string }> {
  const { promotionId, runId = '' } = await incrementGeneration(world, which, source, { kind });
  const destination = (await rowOf(world, promotionId)).destination;
  return { promotionId, runId, rule: which, source, destination };
}

export async function rowOf(world: World, promotionId: string): Promise<PromotionRow> {
  const row = await world.store.getPromotion(promotionId);
  if (row === undefined) throw new Error(`no promotion ${promotionId}`);
  return row.value;
}

export async function runOf(world: World, runId: string): Promise<RunRow> {
  const row = await world.store.getRun(runId);
  if (row === undefined) throw new Error(`no run ${runId}`);
  return row.value;
}

/** What a run does first: the engine has it, it takes its promotion's row, and says what it answers. @returns if the row is its own */
export async function begin(world: World, run: { promotionId: string; runId: string }): Promise<boolean> {
  world.engine.setState(run.runId, 'running');
  const row = await beginRun(world, run, await callOf(world, run.runId));
  if (row !== undefined) await writeBegun(world, run.runId, row.generation, undefined);
  return row !== undefined;
}

/** What stands under a tag: its digest. */
export function tagAt(world: World, reference: string): string | undefined {
  const { registry, repository, tag = '' } = parseReference(reference);
  return world.registries.repository(registry, repository).tags.get(tag);
}

/** A registry refuses to take something: 403 without the permission, 405 where it is locked. */
export function refusal(status: number, code: string, repository = SOURCE.repository): RegistryError {
  return new RegistryError(`${repository}: ${code}`, {
    method: 'PUT',
    url: `https://${REGISTRY}/v2/${repository}/manifests/x`,
    status,
    registryCodes: [code],
  });
}
