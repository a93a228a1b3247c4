import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  basicCredentials,
  copyGraph,
  createRegistries,
  planGraph,
  type Descriptor,
  type RegistryRepository,
} from '../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../src/sbom/index.js';
import { NOTARY_SIGNATURE, thumbprint, thumbprintsOf } from '../../src/signing/index.js';
import { CN, issue, issueAuthority, O, type Issued } from '../support/certificates.js';
import { describeWithPeers } from '../support/peers.js';
import { ending, startEverything, until, type Everything, type Promotion } from '../support/stack/everything.js';
import { must, notationVerify } from '../support/stack/programs.js';
import { freePorts, type Ports } from './start/started.js';
import { pushImage, tagManifest } from './trust/push.js';

/** Pushed to dev, and signed by nobody but the app. */
const IMAGE = 'app/image';
const TAG = 'v1';

const ca = issueAuthority({ subject: [[CN, 'the CA that issued them all']] });
/** A signing certificate of the CA. @param key the key that is certified again; a new one by default */
function certify(name: string, { key }: Partial<Issued> = {}): Issued {
  const subject: [string, string][] = [
    [O, 'Example'],
    [CN, name],
  ];
  return issue({ issuer: ca, subject, ...(key !== undefined && { key }) });
}
const first = certify('release');
const renewed = certify('release', first);
const rotated = certify('release');
const theirs = certify('reviewers');

/** What `GET /api/runs/{id}` answers, of it what is read here. */
interface Run {
  steps: { step: string; startedAt: string; updatedAt: string }[];
}

describeWithPeers(
  'a chain dev → staging → prod, where the gate before prod trusts the CA that issues our own certificates',
  ['notation'],
  ([notation = '']) => {
    let folder: string;
    let ports: Ports;
    let up: Everything;
    let registries: ReturnType<typeof createRegistries>;
    let image: Descriptor;
    /** Those that this app has signed with so far. */
    const signedWith: Issued[] = [];

    const dev = (repository: string): RegistryRepository => registries.repository(up.source, repository);
    const staging = (repository: string): RegistryRepository =>
      registries.repository(up.staging, `staging/${repository}`);
    const prod = (repository: string): RegistryRepository =>
      registries.repository(up.staging, `prod/staging/${repository}`);

    /** `npm start` on the same data, with this key and certificate. */
    async function startWith(name: string, certified: Issued): Promise<void> {
      const { pem, keyPem } = certified;
      signedWith.push(certified);
      const key = join(folder, `${name}-key.pem`);
      const chain = join(folder, `${name}.pem`);
      await writeFile(key, keyPem, { mode: 0o600 });
      await writeFile(chain, pem + ca.pem);
      up = await startEverything({
        dataDir: join(folder, 'data'),
        ports,
        settings: { SIGNING_KEY: key, SIGNING_CERTIFICATE_CHAIN: chain },
        rules: ({ source: devRegistry, staging: registry }) => ({
          rules: [
            {
              name: 'staging',
              source: { registry: devRegistry, repositories: ['app/**'] },
              destination: { reference: `${registry}/staging/{repository}:{tag}` },
            },
            {
              name: 'prod',
              source: { registry, repositories: ['staging/**'] },
              verify: { signatures: [{ format: 'notary', trustStore: join(folder, 'ca.pem'), identities: ['*'] }] },
              destination: { reference: `${registry}/prod/{repository}:{tag}` },
            },
          ],
        }),
      });
      const { name: user, password } = up.user;
      registries = createRegistries({ credentials: basicCredentials(user, password, [up.source, up.staging]) });
    }

    async function stop(): Promise<void> {
      await registries?.close();
      await up?.stop();
    }

    /** Asks for a run of a promotion, or a further look of its open run. */
    async function ask({ id }: Promotion): Promise<void> {
      expect((await fetch(`${up.hostUrl}/api/promotions/${id}/run`, { method: 'POST' })).status).toBe(202);
    }

    async function promotionOf(repository: string): Promise<Promotion> {
      return until(`a promotion of ${repository}`, () => up.promotion(repository, TAG));
    }

    /** A run has ended since, and the destination is as it must be: the schedule may have been faster. */
    async function expectInSync(repository: string, sinceMs: number): Promise<void> {
      const { last } = await up.ended(repository, TAG, sinceMs);
      const outcome = expect.stringMatching(/^(promoted|unchanged)$/);
      expect(ending(last)).toMatchObject({ outcome, digest: image.digest });
    }

    /** What `notation verify` says with the trust store of the gate. */
    function verify(reference: string, more: readonly string[] = []): ReturnType<typeof notationVerify> {
      return notationVerify(notation, reference, join(folder, 'ca.pem'), up.user, more);
    }

    /** Thumbprints of the certificates by which the image is signed there. */
    async function leavesOf(at: RegistryRepository): Promise<string[]> {
      const listed = await at.listReferrers(image.digest, { artifactType: NOTARY_SIGNATURE });
      return listed.map((entry) => thumbprintsOf(entry)[0] ?? '');
    }

    /** The image in staging has our signature by each certificate that we had, and `notation` accepts one by the trust store. */
    async function expectSignedInStaging(): Promise<void> {
      expect((await leavesOf(staging(IMAGE))).sort()).toEqual(signedWith.map(({ der }) => thumbprint(der)).sort());
      expect(await verify(`${up.staging}/staging/${IMAGE}@${image.digest}`)).toMatchObject({ code: 0 });
    }

    /** The gate before prod is asked once more, and stays shut. */
    async function expectShut(): Promise<void> {
      const sinceMs = Date.now();
      await ask(await promotionOf(`staging/${IMAGE}`));
      await until(
        () => `the gate to be asked again, and to stay shut\n${up.output().slice(-3000)}`,
        async () => {
          const row = await promotionOf(`staging/${IMAGE}`);
          if (row.last?.outcome === 'promoted') throw new Error(`it has passed: ${JSON.stringify(row)}`);
          const { steps } = (await (await fetch(`${up.hostUrl}/api/runs/${row.runId}`)).json()) as Run;
          const look = steps.find(({ step }) => step === 'checkEvidence');
          // It marks the row only if that look has not passed.
          const mark = steps.find(({ step }) => step === 'markWaiting');
          if (look === undefined || mark === undefined || Date.parse(look.startedAt) <= sinceMs) return undefined;
          return mark.startedAt >= look.updatedAt && row.state === 'waiting' ? row : undefined;
        },
      );
      await expect(prod(IMAGE).resolve(TAG)).rejects.toMatchObject({ notFound: true });
    }

    /** The same image in a repository of its own, signed by them: it is in prod, with their signature, ours, and our SBOM. */
    async function expectTwinPromoted(repository: string): Promise<void> {
      const sinceMs = Date.now();
      await copyGraph(await planGraph(dev(IMAGE), image), dev(IMAGE), dev(repository));
      const { name, password } = up.user;
      const home = { XDG_CONFIG_HOME: folder, HOME: folder };
      const login = ['--insecure-registry', '--force-referrers-tag=false', '-u', name, '-p', password];
      await must(notation, ['sign', ...login, '--key', 'theirs', `${up.source}/${repository}@${image.digest}`], home);
      await tagManifest(dev(repository), image, TAG);
      await expectInSync(repository, sinceMs);
      await expectInSync(`staging/${repository}`, sinceMs);
      expect((await prod(repository).resolve(TAG)).digest).toBe(image.digest);
      await expectVerifiedInProd(repository);
    }

    /** Signed by them and by us; its SBOM is the one that says so in our signature. */
    async function expectVerifiedInProd(repository: string): Promise<void> {
      const signers = await leavesOf(prod(repository));
      for (const { der } of [theirs, rotated]) expect(signers).toContain(thumbprint(der));
      const [sbom, ...more] = await prod(repository).listReferrers(image.digest, {
        artifactType: SBOM_MEDIA_TYPES.cyclonedx,
      });
      expect(more).toEqual([]);
      const at = `${up.staging}/prod/staging/${repository}`;
      const role = ['io.acr-promoter.role=sbom', `io.acr-promoter.image=${image.digest}`];
      const metadata = role.flatMap((each) => ['--user-metadata', each]);
      expect(await verify(`${at}@${image.digest}`)).toMatchObject({ code: 0 });
      expect(await verify(`${at}@${sbom?.digest}`, metadata)).toMatchObject({ code: 0 });
    }

    /** As the app goes on after its key or certificate was replaced: what it signs, it signs again. */
    async function signAgain(): Promise<void> {
      const sinceMs = Date.now();
      await ask(await promotionOf(IMAGE));
      await expectInSync(IMAGE, sinceMs);
      await expectSignedInStaging();
    }

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'acr-promoter-rotation-'));
      ports = await freePorts();
      await mkdir(join(folder, 'data'));
      await mkdir(join(folder, 'notation'));
      await writeFile(join(folder, 'ca.pem'), ca.pem);
      const [keyPath, certPath] = [join(folder, 'their-key.pem'), join(folder, 'theirs.pem')];
      await writeFile(keyPath, theirs.keyPem, { mode: 0o600 });
      await writeFile(certPath, theirs.pem + ca.pem);
      const keys = [{ name: 'theirs', keyPath, certPath }];
      await writeFile(join(folder, 'notation/signingkeys.json'), JSON.stringify({ default: 'theirs', keys }));
      await startWith('first', first);
      image = await pushImage(dev(IMAGE), { tag: TAG, contains: 'left-pad' });
      await expectInSync(IMAGE, 0);
      await expectSignedInStaging();
    }, 120_000);

    afterAll(async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    }, 60_000);

    test('an image that only our key has signed is not promoted to prod', expectShut, 120_000);

    test('an image that our key has signed with its former and its renewed certificate is not promoted to prod', async () => {
      await stop();
      await startWith('renewed', renewed);
      await signAgain();
      await expectShut();
    }, 180_000);

    test('after a rotation, an image that our former key has signed is not promoted to prod; one that others signed is', async () => {
      await stop();
      await startWith('rotated', rotated);
      await signAgain();
      await expectShut();
      await expectTwinPromoted('app/twin');
    }, 180_000);
  },
);
