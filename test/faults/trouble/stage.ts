import { InvocationContext } from '@azure/functions';
import type { TokenCredential } from '@azure/identity';
import type { OrchestrationHandler } from 'durable-functions';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startIdentity, type RunningIdentity } from '../../../local/identity/server.js';
import { startRegistry, type RegistryOptions, type RunningRegistry } from '../../../local/registry/server.js';
import { managedIdentityCredentials } from '../../../src/azure/identity.js';
import { keyVaultSigner } from '../../../src/azure/key-vault-signer.js';
import { storageError } from '../../../src/azure/storage-errors.js';
import {
  basicCredentials,
  createRegistries,
  type Credentials,
  type Descriptor,
  type RegistriesOptions,
  type RegistryClient,
} from '../../../src/oci/index.js';
import type { Rule } from '../../../src/rules/rule.js';
import { incrementGeneration } from '../../../src/rows/generation.js';
import type { RunResult } from '../../../src/rows/run-row.js';
import type { StepProgress } from '../../../src/rows/step-progress.js';
import { type SignerSource } from '../../../src/signing/index.js';
import { createSelfSignedCertificate } from '../../support/self-signed.js';
import type { Ports } from '../../../src/ports/ports.js';
import { register, type Registered } from '../../support/registered.js';
import { replay, type Activity } from '../../support/replay.js';
import { rule } from '../../support/rules.fixture.js';
import { countReferrers, pushArtifact, pushMultiPlatform } from '../../support/images.js';
import { newWorld, rowOf } from '../../support/world.js';
import { httpClientOf, identityOf } from '../../support/vault/sdk.js';
import type { KeyVersion } from '../../support/vault/vault-keys.js';
import { Vault } from '../../support/vault/vault.js';
import { issue } from '../../support/certificates.js';
import { FaultProxy } from './fault-proxy.js';

const REPORT = 'application/x-report';
const USER = { name: 'promoter', password: 'promoter-password' };

/** What is promoted: an index over two images and an attestation, and a report on one of them. */
export interface Graph {
  root: Descriptor;
  amd64: Descriptor;
  report: Descriptor;
}

export interface Ended {
  result: RunResult;
  /** By the clock of the play: durable timers, no time of ours. */
  elapsedMs: number;
  /** Calls of the step that was called most often with the same input. */
  calls: number;
  /** What the step that waited said last. */
  waiting: StepProgress | undefined;
  standing: string | undefined;
  /** The report on one of its images has come along. */
  report: boolean;
}

/** What a row of the table changes. */
export interface Scene {
  source: FaultProxy;
  destination: FaultProxy;
  identity: FaultProxy;
  graph: Graph;
  rule: Rule;
  client: Partial<RegistriesOptions>;
  /** The app signs in as its managed identity. */
  asIdentity: boolean;
  /** True where storage gives no answer at that moment. */
  storageDown: (nowMs: number) => boolean;
  /** Held by another until then. */
  leaseHeldUntilMs: number;
  /** The signing key is in Key Vault, and this goes wrong with it. Times are from the run's beginning. */
  inVault: ((scene: VaultScene) => void) | undefined;
  /** Where the destination's certificate is one that nobody knows. */
  tlsPort: number;
}

export interface VaultScene {
  vault: Vault;
  key: KeyVersion;
  identity: TokenCredential;
  nowMs: () => number;
  /** Makes a certificate for a version. */
  certify: (key: KeyVersion) => void;
}

/**
 * The app's own orchestration, activities, steps and registry client, over HTTP, against two registries and an identity endpoint
 * behind proxies that fail as they are told. Only the engine is played: its timers take no time.
 */
export class Stage {
  #folder = '';
  #registries: RunningRegistry[] = [];
  #identityServer: RunningIdentity | undefined;
  readonly source = new FaultProxy();
  readonly destination = new FaultProxy();
  readonly identity = new FaultProxy();
  #scenes = 0;
  #tls: Server | undefined;
  #tlsPort = 0;

  async open(options: Partial<RegistryOptions> = {}): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'trouble-'));
    this.#identityServer = await startIdentity({ dataDir: join(this.#folder, 'identity') });
    this.identity.upstreamPort = this.#identityServer.port;
    await this.identity.open();
    for (const proxy of [this.source, this.destination]) {
      await proxy.open();
      const registry = await startRegistry({
        dataDir: join(this.#folder, String(this.#registries.length)),
        name: proxy.authority,
        users: [USER],
        entraKeysFile: this.#identityServer.publicKeysFile,
        ...options,
      });
      proxy.upstreamPort = registry.port;
      this.#registries.push(registry);
    }
    const { keyPem, certificatePem } = createSelfSignedCertificate({
      commonName: 'localhost',
      country: 'US',
      state: 'WA',
      organization: 'Test',
      days: 1,
    });
    this.#tls = createServer({ key: keyPem, cert: certificatePem }, (_request, response) => response.end());
    const tls = this.#tls;
    await new Promise<void>((resolve) => {
      tls.listen(0, '127.0.0.1', resolve);
    });
    this.#tlsPort = (tls.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    delete process.env.IDENTITY_ENDPOINT;
    delete process.env.IDENTITY_HEADER;
    await Promise.all([this.source, this.destination, this.identity].map((proxy) => proxy.close()));
    await Promise.all(this.#registries.map((registry) => registry.close()));
    await this.#identityServer?.close();
    this.#tls?.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Promotes an image while what `arrange` says goes wrong. Times are from the run's beginning. */
  async play(arrange: (scene: Scene) => void | Promise<void>): Promise<Ended> {
    for (const proxy of [this.source, this.destination, this.identity]) await proxy.reset();
    const repository = `samples/row-${++this.#scenes}`;
    const credentials = basicCredentials(USER.name, USER.password, [this.source.authority, this.destination.authority]);
    const scene: Scene = {
      source: this.source,
      destination: this.destination,
      identity: this.identity,
      graph: await this.#push(credentials, repository),
      rule: rule({
        source: { registry: this.source.authority, repositories: ['samples/**'] },
        destination: { reference: `${this.destination.authority}/staging/{repository}:{tag}` },
      }),
      client: {},
      asIdentity: false,
      storageDown: () => false,
      leaseHeldUntilMs: 0,
      inVault: undefined,
      tlsPort: this.#tlsPort,
    };
    const { IDENTITY_HEADER = '' } = this.#identityServer?.environment ?? {};
    Object.assign(process.env, { IDENTITY_ENDPOINT: `http://${this.identity.authority}/msi/token`, IDENTITY_HEADER });
    await arrange(scene);
    const play = new Play(scene, credentials);
    try {
      const ended = await play.run({ registry: this.source.authority, repository, tag: 'v1' });
      for (const proxy of [this.source, this.destination, this.identity]) await proxy.reset();
      return { ...ended, ...(await this.#arrived(credentials, `staging/${repository}`, scene.graph)) };
    } finally {
      await play.close();
    }
  }

  async #push(credentials: Credentials, name: string): Promise<Graph> {
    const client = createRegistries({ credentials });
    try {
      const repository = client.repository(this.source.authority, name);
      const { root, amd64 } = await pushMultiPlatform(repository, 'v1');
      return { root, amd64, report: await pushArtifact(repository, REPORT, { subject: amd64 }) };
    } finally {
      await client.close();
    }
  }

  async #arrived(credentials: Credentials, name: string, graph: Graph): Promise<Pick<Ended, 'standing' | 'report'>> {
    const client = createRegistries({ credentials });
    try {
      const at = client.repository(this.destination.authority, name);
      const standing = (await at.resolve('v1')).digest;
      return { standing, report: (await countReferrers(at, graph.amd64, REPORT)) === 1 };
    } catch {
      return { standing: undefined, report: false };
    } finally {
      await client.close();
    }
  }
}

class Play {
  readonly #scene: Scene;
  readonly #credentials: Credentials;
  readonly #world = newWorld();
  readonly #app: Registered;
  #client: RegistryClient;
  #clientMs = 0;
  #startMs = 0;
  #waiting: StepProgress | undefined;

  constructor(scene: Scene, credentials: Credentials) {
    this.#scene = scene;
    this.#credentials = credentials;
    this.#world.ruleList = [scene.rule];
    this.#client = this.#connect();
    // The client of the moment: after a timer it may well be another process.
    const repository: RegistryClient['repository'] = (registry, name) => this.#client.repository(registry, name);
    const ports: Ports = {
      ...this.#world,
      registries: { repository },
      store: this.#failing('table runs', this.#world.store),
      documents: this.#failing('container documents', this.#world.documents),
      now: () => new Date(this.#world.nowMs),
      lease: {
        acquire: async (name, options) =>
          this.#nowMs < scene.leaseHeldUntilMs ? undefined : this.#world.lease.acquire(name, options),
      },
    };
    this.#app = register(ports, scene.inVault && this.#vaultSigner(scene.inVault));
  }

  #vaultSigner(arrange: (scene: VaultScene) => void): SignerSource {
    const vault = new Vault({ now: () => this.#world.nowMs });
    const certificates: Uint8Array[] = [];
    const scene: VaultScene = {
      vault,
      key: vault.rotate('signing'),
      identity: identityOf(),
      nowMs: () => this.#nowMs,
      certify: ({ privateKey }) => void certificates.push(issue({ key: privateKey }).der),
    };
    scene.certify(scene.key);
    arrange(scene);
    return keyVaultSigner({
      key: { vault: vault.url, name: 'signing' },
      credential: scene.identity,
      now: () => new Date(this.#world.nowMs),
      client: { httpClient: httpClientOf(vault) },
      readCertificates: async () => certificates,
    });
  }

  get #nowMs(): number {
    return this.#world.nowMs - this.#startMs;
  }

  #connect(): RegistryClient {
    const { source, destination, client, asIdentity, tlsPort } = this.#scene;
    const registries = [source.authority, destination.authority];
    const localhosts = [tlsPort, destination.authority.split(':')[1] ?? ''].map((port) => `localhost:${port}`);
    return createRegistries({
      credentials: asIdentity ? managedIdentityCredentials({ registries }) : this.#credentials,
      allowedRegistries: [...registries, 'nowhere.invalid', ...localhosts],
      ...client,
      retry: { baseMs: 1, ...client.retry },
    });
  }

  /** A port that gives no answer while storage is down, as the SDK's errors are told. */
  #failing<T extends object>(what: string, port: T): T {
    return new Proxy(port, {
      get: (target, name): unknown => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const down = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
          if (this.#scene.storageDown(this.#nowMs)) return Promise.reject(storageError(what, down));
          const [row] = args as [StepProgress];
          if (name === 'putProgress' && row.waitsFor !== undefined) this.#waiting = row;
          return Reflect.apply(value, target, args);
        };
      },
    });
  }

  async #clock(nowMs: number): Promise<void> {
    this.#world.nowMs = nowMs;
    for (const proxy of [this.#scene.source, this.#scene.destination, this.#scene.identity])
      await proxy.at(this.#nowMs);
    if (this.#nowMs - this.#clientMs < 1000) return;
    this.#clientMs = this.#nowMs;
    await this.#client.close();
    this.#client = this.#connect();
  }

  #activities(): Record<string, Activity> {
    const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
    const entries = [...this.#app.activities];
    return Object.fromEntries(
      entries.map(([name, { handler }]) => [name, (input: unknown) => handler(input, context)]),
    );
  }

  async run(source: {
    registry: string;
    repository: string;
    tag: string;
  }): Promise<Omit<Ended, 'standing' | 'report'>> {
    const { promotionId, runId = '' } = await incrementGeneration(this.#world, this.#scene.rule, source, {
      kind: 'push',
    });
    this.#startMs = this.#world.nowMs;
    const played = await replay(this.#app.orchestrations.get('promote') as OrchestrationHandler, {
      // As the engine is given it: with the rule's deadline.
      input: this.#world.engine.starts.find(({ id }) => id === runId)?.input,
      activities: this.#activities(),
      startMs: this.#startMs,
      clock: (nowMs) => this.#clock(nowMs),
      twiceEvery: 20,
    });
    if (played.error !== undefined) throw new Error(played.error);
    const counts = new Map<string, number>();
    for (const { name, input } of played.calls) {
      const { attempt: _told, ...same } = input as Record<string, unknown>;
      const call = `${name} ${JSON.stringify(same)}`;
      counts.set(call, (counts.get(call) ?? 0) + 1);
    }
    const { last } = await rowOf(this.#world, promotionId);
    if (last === undefined) throw new Error('the run did not close its promotion');
    return {
      result: last,
      elapsedMs: played.elapsedMs,
      calls: Math.max(...counts.values()),
      waiting: this.#waiting,
    };
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}
