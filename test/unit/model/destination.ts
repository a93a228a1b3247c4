import { artifactTypeOf, childrenOf, isManifestMediaType } from '../../../src/oci/index.js';
import { destinationOf } from '../../../src/rules/match.js';
import type { Rule } from '../../../src/rules/rule.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { leafThumbprint } from '../../../src/evidence/signature-checks.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { NOTARY_SIGNATURE } from '../../support/images.js';
import type { App } from './app.js';
import { IMAGES, REFERRERS } from './images.js';
import { ELSEWHERE, REGISTRY } from './setting.js';

/** What is not at a destination as its rule says. */
export async function destinationProblems(
  app: App,
  rule: Rule,
  source: { registry: string; repository: string; tag: string },
  from: MemoryRepository,
  digest: string,
): Promise<string[]> {
  const to = destinationOf(rule, source);
  const at = `rule ${rule.name}, ${source.repository}:${source.tag}`;
  const destination = app.world.registries.repository(to.registry, to.repository);
  const standing = destination.tags.get(to.tag);
  if (!isEvident(from, digest) && app.rules.some(({ verify }) => verify.signatures.length > 0)) {
    // Of two rules that lead to one tag, one owns it: perhaps the one that asks for nothing.
    if (app.rules.some(({ name }) => name === 'same')) return [];
    if (rule.verify.signatures.length > 0) {
      return standing === digest && !app.needsSchedule ? [`${at}: promoted without evidence`] : [];
    }
  }
  if (standing !== digest) return [`${at}: the destination is ${standing ?? 'not there'}, not ${digest}`];
  const problems: string[] = [];
  const graph = closure(from, digest, rule.referrers.excludeArtifactTypes);
  for (const { digest: each, subject } of graph) {
    if (!destination.manifests.has(each)) problems.push(`${at}: the destination lacks ${each}`);
    else if (subject !== undefined) {
      const listed = await destination.listReferrers(subject as `sha256:${string}`);
      if (!listed.some((other) => other.digest === each)) problems.push(`${at}: the destination does not list ${each}`);
    }
  }
  for (const { digest: each, subject } of graph) {
    if (subject !== undefined) continue;
    const isImage = from.manifests.get(each)?.manifest.kind === 'image';
    if (rule.sign.length > 0) problems.push(...counted(app, from, destination, each, 'signature', at));
    if (rule.sbom.formats.length > 0 && isImage && !isAttestation(from, each))
      problems.push(...counted(app, from, destination, each, 'sbom', at));
  }
  return problems;
}

function counted(
  app: App,
  from: MemoryRepository,
  to: MemoryRepository,
  digest: string,
  what: 'signature' | 'sbom',
  at: string,
): string[] {
  const problems: string[] = [];
  const isMadeThere = app.rules.some(({ attachTo }) => attachTo === 'destination');
  for (const [side, repository] of [
    ['source', from],
    ['destination', to],
  ] as const) {
    if (isMadeThere && side === 'source') continue;
    const found = ours(app, repository, digest, what);
    if (found.length !== 1) problems.push(`${at}: ${found.length} of our ${what} at the ${side} for ${digest}`);
    // An SBOM that we signed has one signature.
    const [sbom] = found;
    const rule = app.rules.find(({ sign }) => sign.length > 0);
    if (what === 'sbom' && sbom !== undefined && rule !== undefined && app.rules.length === 1) {
      const counts = found.map((each) => ours(app, repository, each, 'signature').length);
      // One of them may be of a time when the rule signed nothing.
      if (!counts.includes(1) || counts.some((count) => count > 1))
        problems.push(`${at}: ${counts.join(', ')} signatures of the SBOMs ${found.join(', ')} at the ${side}`);
    }
  }
  return problems;
}

/** Nothing of ours is anywhere twice. */
export function madeTwice(app: App): string[] {
  const problems: string[] = [];
  for (const registry of [REGISTRY, ELSEWHERE]) {
    for (const name of app.world.registries.names(registry)) {
      const repository = app.world.registries.repository(registry, name);
      for (const digest of repository.manifests.keys()) {
        for (const what of ['signature', 'sbom'] as const) {
          const found = ours(app, repository, digest, what);
          if (found.length > 1) problems.push(`${registry}/${name}@${digest} has ${found.length} of our ${what}`);
        }
      }
    }
  }
  return problems;
}

function isEvident(from: MemoryRepository, digest: string): boolean {
  const index = IMAGES.findIndex((image) => image.digest === digest);
  const evidence = REFERRERS.evidence[index];
  return evidence !== undefined && from.manifests.has(evidence.digest);
}

function isAttestation(from: MemoryRepository, digest: string): boolean {
  return [...from.manifests.values()].some(
    ({ manifest }) =>
      manifest.kind === 'index' &&
      manifest.manifests.some((child) => child.digest === digest && child.platform?.os === 'unknown'),
  );
}

/** A manifest, its children, what refers to them and isn't left out, and so on; with the subject of what was found as a referrer. */
function closure(
  from: MemoryRepository,
  root: string,
  excluded: readonly string[],
): { digest: string; subject?: string }[] {
  const found = new Map<string, { digest: string; subject?: string }>([[root, { digest: root }]]);
  for (const { digest } of found.values()) {
    const stored = from.manifests.get(digest);
    if (stored === undefined) continue;
    for (const child of childrenOf(stored.manifest)) {
      if (isManifestMediaType(child.mediaType) && !found.has(child.digest))
        found.set(child.digest, { digest: child.digest });
    }
    for (const { descriptor, manifest } of from.manifests.values()) {
      if (excluded.includes(artifactTypeOf(manifest) ?? '')) continue;
      if (manifest.subject?.digest === digest && !found.has(descriptor.digest)) {
        found.set(descriptor.digest, { digest: descriptor.digest, subject: digest });
      }
    }
  }
  return [...found.values()];
}

/** Digests of our SBOMs, or our signatures, that refer to a manifest. */
function ours(app: App, repository: MemoryRepository, subject: string, what: 'signature' | 'sbom'): string[] {
  const { signer } = app.world;
  const thumbprint = signer && leafThumbprint(signer);
  const found: string[] = [];
  for (const { descriptor, manifest } of repository.manifests.values()) {
    if (manifest.subject?.digest !== subject) continue;
    const type = artifactTypeOf(manifest);
    if (what === 'sbom' && type === SBOM_MEDIA_TYPES.cyclonedx) found.push(descriptor.digest);
    const isOurs =
      thumbprint !== undefined && Object.values(manifest.annotations ?? {}).some((text) => text.includes(thumbprint));
    if (what === 'signature' && type === NOTARY_SIGNATURE && isOurs) found.push(descriptor.digest);
  }
  return found;
}
