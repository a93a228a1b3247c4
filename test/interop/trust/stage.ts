import { expect } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  basicCredentials,
  createRegistries,
  type Descriptor,
  type Digest,
  type RegistryRepository,
} from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { startEverything, until, type Everything, type Promotion } from '../../support/stack/everything.js';
import { must, notationVerify } from '../../support/stack/programs.js';

/** The rules of the stage, by the first part of the repositories that they promote. */
export type RuleName = 'open' | 'unsigned' | 'gated' | 'late';

/** What was pushed to the source, and what must become of it if it is promoted. */
export interface Pushed {
  /** Without registry. */
  repository: string;
  tag: string;
  root: Descriptor;
  /** Images, and the npm package that the SBOM of each must name. */
  images?: { image: Descriptor; contains: string }[];
  /** Other manifests of the graph, which must be signed by us as well. */
  signed?: Descriptor[];
  /** Manifests that must be there, and not be signed by us. */
  unsigned?: Descriptor[];
  /** What refers to the root and must stay at the source, as its receipt names it. */
  leftOut?: { digest: Digest; code: string }[];
  /** What else must not be there. */
  absent?: Digest[];
}

/** One running app, two registries and the real programs, for all rows. */
export class Stage {
  readonly up: Everything;
  /** `notation` with a key of its own, `them`, which the rule `gated` trusts. */
  readonly notationHome: Record<string, string>;
  readonly folder: string;
  readonly #notation: string;
  readonly #registries: ReturnType<typeof createRegistries>;

  private constructor(up: Everything, folder: string, notationHome: Record<string, string>, notation: string) {
    this.up = up;
    this.folder = folder;
    this.notationHome = notationHome;
    this.#notation = notation;
    const { name, password } = up.user;
    this.#registries = createRegistries({ credentials: basicCredentials(name, password, [up.source, up.staging]) });
  }

  static async start(notation: string): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'acr-promoter-trust-'));
    const home = { XDG_CONFIG_HOME: join(folder, 'notation'), HOME: folder };
    await must(notation, ['cert', 'generate-test', 'them'], home);
    const theirs = join(folder, 'notation/notation/localkeys/them.crt');
    const up = await startEverything({
      schedule: '*/5 * * * * *',
      rules: ({ source, staging }) => {
        const rule = (name: RuleName, more: object = {}): object => ({
          name,
          existing: 'promote',
          source: { registry: source, repositories: [`${name}/**`] },
          destination: { reference: `${staging}/staging/{repository}:{tag}` },
          ...more,
        });
        const verify = { signatures: [{ format: 'notary', trustStore: theirs, identities: ['*'] }] };
        return {
          rules: [
            rule('open'),
            rule('unsigned', { sign: [] }),
            rule('gated', { verify }),
            // Tags `w*` go elsewhere first, with our SBOM and signature attached at the source; `v*` demands evidence.
            rule('late', { verify, source: { registry: source, repositories: ['late/**'], tags: ['v*'] } }),
            {
              ...rule('late'),
              name: 'early',
              source: { registry: source, repositories: ['late/**'], tags: ['w*'] },
              destination: { reference: `${staging}/early/{repository}:{tag}` },
            },
          ],
        };
      },
    });
    return new Stage(up, folder, home, notation);
  }

  async stop(): Promise<void> {
    await this.#registries.close();
    await this.up.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  source(repository: string): RegistryRepository {
    return this.#registries.repository(this.up.source, repository);
  }

  staging(repository: string): RegistryRepository {
    return this.#registries.repository(this.up.staging, `staging/${repository}`);
  }

  /** The promotion of a tag, if there is one. */
  async promotion({ repository, tag }: Pick<Pushed, 'repository' | 'tag'>): Promise<Promotion | undefined> {
    const query = new URLSearchParams({ repository, tag });
    const answer = await fetch(`${this.up.hostUrl}/api/promotions?${query.toString()}`);
    if (!answer.ok) return undefined;
    return ((await answer.json()) as { promotions: Promotion[] }).promotions[0];
  }

  /** The promotion of a tag, when a run of it has ended and none is open. */
  ended(pushed: Pick<Pushed, 'repository' | 'tag'>): Promise<Promotion> {
    return until(
      () => `the promotion of ${pushed.repository}:${pushed.tag}\n${this.up.output().slice(-3000)}`,
      async () => {
        const row = await this.promotion(pushed);
        return row?.last !== undefined && !row.runOpen ? row : undefined;
      },
    );
  }

  /** Its run ended so with this code, nothing is in staging under its tag, and nothing of it was signed by us. */
  async expectRefused(pushed: Pushed, code: string, outcome: 'refused' | 'failed' = 'refused'): Promise<void> {
    const { last } = await this.ended(pushed);
    expect(last).toMatchObject({ outcome, code, digest: pushed.root.digest });
    await expect(this.staging(pushed.repository).resolve(pushed.tag)).rejects.toMatchObject({ notFound: true });
    const { root, images = [], signed = [], unsigned = [] } = pushed;
    for (const { digest } of [root, ...images.map(({ image }) => image), ...signed, ...unsigned])
      expect(await this.isSigned('source', pushed.repository, digest)).toBe(false);
  }

  /** It is in staging with all that it must have, and the real `notation` verifies it there. */
  async expectPromoted(pushed: Pushed): Promise<void> {
    const { repository, root, images = [], signed = [], unsigned = [] } = pushed;
    const { last } = await this.ended(pushed);
    expect(last).toMatchObject({ outcome: 'promoted', digest: root.digest });
    expect(last?.code).toBeUndefined();
    const staging = this.staging(repository);
    expect((await staging.resolve(pushed.tag)).digest).toBe(root.digest);
    for (const { digest } of [root, ...images.map(({ image }) => image), ...signed])
      expect({ digest, isSigned: await this.isSigned('staging', repository, digest) }).toEqual({
        digest,
        isSigned: true,
      });
    for (const { image, contains } of images) {
      const names = await this.packagesOf(repository, image.digest);
      expect(names).toContain(contains);
    }
    for (const { digest } of unsigned) {
      expect((await staging.fetchManifest(digest)).descriptor.digest).toBe(digest);
      expect(await this.isSigned('staging', repository, digest)).toBe(false);
    }
  }

  /** The next run of a promotion finds nothing to do. */
  async expectUnchanged(pushed: Pushed): Promise<void> {
    const { id, last } = await this.ended(pushed);
    const asked = await fetch(`${this.up.hostUrl}/api/promotions/${id}/run`, { method: 'POST' });
    expect(asked.status).toBe(202);
    const next = await until(`the next run of ${pushed.repository}`, async () => {
      const row = await this.promotion(pushed);
      return row?.last?.runId !== last?.runId && row?.runOpen === false ? row : undefined;
    });
    expect(next.last).toMatchObject({ outcome: 'unchanged' });
  }

  /** Names of the packages in the SBOMs of an image in staging that `notation` verifies by our certificate. */
  async packagesOf(repository: string, image: Digest): Promise<string[]> {
    const staging = this.staging(repository);
    const names: string[] = [];
    for (const { digest } of await staging.listReferrers(image, { artifactType: SBOM_MEDIA_TYPES.cyclonedx })) {
      if (!(await this.isSigned('staging', repository, digest))) continue;
      const { layers } = JSON.parse(Buffer.from((await staging.fetchManifest(digest)).bytes).toString()) as {
        layers: [Descriptor];
      };
      const chunks: Uint8Array[] = [];
      for await (const chunk of await staging.openBlob(layers[0])) chunks.push(chunk);
      const { components } = JSON.parse(Buffer.concat(chunks).toString()) as { components: { name: string }[] };
      names.push(...components.map(({ name }) => name));
    }
    return names;
  }

  /** Whether `notation verify` accepts a manifest by our certificate, with this user metadata. */
  async isSigned(
    at: 'source' | 'staging',
    repository: string,
    digest: Digest,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<boolean> {
    const reference = at === 'source' ? `${this.up.source}/${repository}` : `${this.up.staging}/staging/${repository}`;
    const asked = Object.entries(metadata).flatMap(([key, value]) => ['--user-metadata', `${key}=${value}`]);
    // By default notation gives up after 100, good ones after them or not.
    const more = ['--max-signatures', '1000', ...asked];
    const verified = await notationVerify(
      this.#notation,
      `${reference}@${digest}`,
      this.up.certificate,
      this.up.user,
      more,
    );
    return verified.code === 0;
  }

  /** Signs as `them`, whom the rule `gated` trusts. */
  async signAsThem(repository: string, digest: Digest, more = ['--force-referrers-tag=false']): Promise<void> {
    const { name, password } = this.up.user;
    await must(
      this.#notation,
      [
        'sign',
        '--insecure-registry',
        ...more,
        '--key',
        'them',
        '-u',
        name,
        '-p',
        password,
        `${this.up.source}/${repository}@${digest}`,
      ],
      this.notationHome,
    );
  }
}
