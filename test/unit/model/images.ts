import type { Descriptor } from '../../../src/oci/index.js';
import { childrenOf } from '../../../src/oci/index.js';
import { createStreamingSbomGenerator, type Sbom, type SbomGenerator } from '../../../src/sbom/index.js';
import type { Signer } from '../../../src/signing/index.js';
import { MemoryRepository } from '../../support/memory-repository.js';
import { pushArtifact, pushImage, pushMultiPlatform, pushSignature } from '../../support/images.js';
import { newSigner } from '../../support/world.js';

/** Somebody whose signature the rules ask for. */
export const RELEASE = newSigner('release');

/** When histories begin: while the certificates are valid. */
export const START_MS = Date.now() - (Date.now() % 3_600_000);

/** Where everything that people push was made once, so that a push in a history takes no time. */
const shelf = new MemoryRepository('shelf');
const images = [
  await pushImage(shelf, { content: 'zero' }),
  await pushImage(shelf, { content: 'one' }),
  await pushImage(shelf, { content: 'two' }),
  (await pushMultiPlatform(shelf, 'many')).root,
];
export const IMAGES: readonly Descriptor[] = images;
export const REPORT = 'application/x-report';
const reports = await Promise.all(IMAGES.map((subject) => pushArtifact(shelf, REPORT, { subject })));
const notes = await Promise.all(reports.map((subject) => pushArtifact(shelf, 'application/x-note', { subject })));
const evidence = await Promise.all(
  IMAGES.map((subject) => pushSignature(shelf, subject, RELEASE.signer, new Date(START_MS))),
);
/** What people attach to image n: a report, a note on the report, the signature that a rule asks for. */
export const REFERRERS = { report: reports, note: notes, evidence } as const;

/** Puts a manifest with all that it consists of into a repository. @returns manifests that weren't there, leaves first */
export function put(repository: MemoryRepository, digest: string): Descriptor[] {
  const stored = shelf.manifests.get(digest);
  if (stored === undefined) throw new Error(`nobody made ${digest}`);
  const fresh: Descriptor[] = [];
  for (const child of childrenOf(stored.manifest)) {
    const blob = shelf.blobs.get(child.digest);
    if (blob === undefined) fresh.push(...put(repository, child.digest));
    else repository.blobs.set(child.digest, blob);
  }
  if (!repository.manifests.has(digest)) fresh.push(stored.descriptor);
  repository.manifests.set(digest, stored);
  return fresh;
}

const sboms = new Map<string, Promise<Sbom[]>>();
const generator = createStreamingSbomGenerator();

/** Makes each SBOM once: the same image gives the same bytes. */
export function rememberingSboms(watch: <T>(work: Promise<T>) => Promise<T>): SbomGenerator {
  return {
    // Nothing is kept between layers: asking for it would wait for a choice, and the choice for the SBOM.
    generate({ layers: _layers, ...input }) {
      const key = `${input.name}@${input.descriptor.digest}`;
      const made = sboms.get(key) ?? watch(generator.generate({ ...input, signal: new AbortController().signal }));
      sboms.set(key, made);
      return made;
    },
  };
}

const signatures = new Map<string, Promise<Uint8Array>>();

/** Signs the nth time what it signed the nth time in another history: two signatures over one thing differ all the same. */
export function rememberingSigner(signer: Signer): Signer {
  const counts = new Map<string, number>();
  return {
    ...signer,
    sign(message) {
      const text = Buffer.from(message).toString('latin1');
      const count = (counts.get(text) ?? 0) + 1;
      counts.set(text, count);
      const made = signatures.get(`${count} ${text}`) ?? signer.sign(message);
      signatures.set(`${count} ${text}`, made);
      return made;
    },
  };
}
