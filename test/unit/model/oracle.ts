import { artifactTypeOf, childrenOf, isManifestMediaType } from '../../../src/oci/index.js';
import { destinationOf } from '../../../src/promotion/destination.js';
import { isSourceRepository, matchRules } from '../../../src/promotion/match.js';
import type { Rule } from '../../../src/promotion/rule.js';
import { CYCLONEDX_JSON } from '../../../src/sbom/index.js';
import { leafThumbprint } from '../../../src/steps/our-signature.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { NOTARY_SIGNATURE } from '../steps/images.js';
import { IMAGES, REFERRERS } from './images.js';
import type { Model } from './model.js';

/** Outcomes that somebody is told of. */
const TOLD = new Set(['promoted', 'observed', 'refused', 'failed', 'cancelled']);
const REGISTRIES = ['r.azurecr.io', 's.azurecr.io'];

/** What is not as the rules say, once nothing goes on any more. */
export async function problemsOf(model: Model): Promise<string[]> {
  const problems: string[] = [];
  for (const rule of model.rules) {
    for (const name of model.world.registries.names(rule.source.registry)) {
      if (!isSourceRepository(rule, rule.source.registry, name)) continue;
      const repository = model.world.registries.repository(rule.source.registry, name);
      for (const [tag, digest] of repository.tags) {
        const source = { registry: rule.source.registry, repository: name, tag };
        if (matchRules([rule], source).rules.length === 0) continue;
        problems.push(...(await promotionProblems(model, rule, source, repository, digest)));
      }
    }
  }
  return [...problems, ...madeTwice(model), ...(await restProblems(model))];
}

async function promotionProblems(
  model: Model,
  rule: Rule,
  source: { registry: string; repository: string; tag: string },
  from: MemoryRepository,
  digest: string,
): Promise<string[]> {
  const to = destinationOf(rule, source);
  const at = `rule ${rule.name}, ${source.repository}:${source.tag}`;
  const destination = model.world.registries.repository(to.registry, to.repository);
  const standing = destination.tags.get(to.tag);
  if (!isEvident(from, digest) && model.rules.some(({ verify }) => verify.signatures.length > 0)) {
    // Of two rules that lead to one tag, one owns it: perhaps the one that asks for nothing.
    if (model.rules.some(({ name }) => name === 'same')) return [];
    if (rule.verify.signatures.length > 0) {
      return standing === digest && !model.needsSchedule ? [`${at}: promoted without evidence`] : [];
    }
  }
  if (standing !== digest) return [`${at}: the destination is ${standing ?? 'not there'}, not ${digest}`];
  const problems: string[] = [];
  const graph = closure(from, digest);
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
    if (rule.sign.length > 0) problems.push(...counted(model, from, destination, each, 'signature', at));
    if (rule.sbom.formats.length > 0 && isImage && !isAttestation(from, each))
      problems.push(...counted(model, from, destination, each, 'sbom', at));
  }
  return problems;
}

function counted(
  model: Model,
  from: MemoryRepository,
  to: MemoryRepository,
  digest: string,
  what: 'signature' | 'sbom',
  at: string,
): string[] {
  const problems: string[] = [];
  const isMadeThere = model.rules.some(({ attachTo }) => attachTo === 'destination');
  for (const [side, repository] of [
    ['source', from],
    ['destination', to],
  ] as const) {
    if (isMadeThere && side === 'source') continue;
    const found = ours(model, repository, digest, what);
    if (found.length !== 1) problems.push(`${at}: ${found.length} of our ${what} at the ${side} for ${digest}`);
    // An SBOM that we signed has one signature.
    const [sbom] = found;
    const rule = model.rules.find(({ sign }) => sign.length > 0);
    if (what === 'sbom' && sbom !== undefined && rule !== undefined && model.rules.length === 1) {
      const signatures = ours(model, repository, sbom, 'signature');
      if (signatures.length !== 1)
        problems.push(`${at}: ${signatures.length} signatures of the SBOM ${sbom} at the ${side}`);
    }
  }
  return problems;
}

/** Nothing of ours is anywhere twice. */
function madeTwice(model: Model): string[] {
  const problems: string[] = [];
  for (const registry of REGISTRIES) {
    for (const name of model.world.registries.names(registry)) {
      const repository = model.world.registries.repository(registry, name);
      for (const digest of repository.manifests.keys()) {
        for (const what of ['signature', 'sbom'] as const) {
          const found = ours(model, repository, digest, what);
          if (found.length > 1) problems.push(`${registry}/${name}@${digest} has ${found.length} of our ${what}`);
        }
      }
    }
  }
  return problems;
}

/** Nothing is open, nothing runs, and what was told is what happened. */
async function restProblems(model: Model): Promise<string[]> {
  const { store, queues } = model.world;
  const problems: string[] = model.engine.open.map(({ id, state }) => `instance ${id} is ${state}`);
  for (const { id, name, error } of model.engine.instances.values()) {
    if (error !== undefined) problems.push(`${name} ${id} failed: ${error.message}`);
  }
  const told = new Map<string, string>();
  for (const { queue, text } of queues.sent) {
    if (queue.endsWith('-poison')) problems.push(`poison in ${queue}: ${text}`);
    if (queue !== 'promotion-results') continue;
    const event = JSON.parse(text) as { id: string; data: { outcome: string } };
    if ((told.get(event.id) ?? text) !== text) problems.push(`run ${event.id} is told of in two ways`);
    told.set(event.id, text);
    const run = (await store.getRun(event.id))?.value;
    if (run?.result?.outcome !== event.data.outcome) {
      problems.push(
        `run ${event.id} is told to be ${event.data.outcome}, and is ${run?.result?.outcome} ${run?.result?.code ?? ''}`,
      );
    }
  }
  for (const row of (await store.listPromotions({ size: 100 })).items) {
    if (row.runOpen) problems.push(`promotion ${row.id}: run ${row.runId} is open`);
    if (row.wanted > row.answered)
      problems.push(`promotion ${row.id}: ${row.wanted} is wanted, ${row.answered} answered`);
    const last = row.last && (await store.getRun(row.last.runId))?.value.result;
    if (row.last !== undefined && row.last.outcome !== last?.outcome) {
      problems.push(
        `promotion ${row.id}: its last run ${row.last.runId} is ${row.last.outcome}, and by itself ${last?.outcome} ${last?.code ?? ''}`,
      );
    }
    if (row.last !== undefined && TOLD.has(row.last.outcome) && !told.has(row.last.runId)) {
      problems.push(`promotion ${row.id}: nobody is told of run ${row.last.runId}, ${row.last.outcome}`);
    }
  }
  let from: string | undefined;
  do {
    const page = await store.listRuns({ size: 100, ...(from !== undefined && { from }) });
    for (const { id, state } of page.items) if (state !== 'ended') problems.push(`the row of run ${id} is ${state}`);
    from = page.next;
  } while (from !== undefined);
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

/** A manifest, its children, what refers to them, and so on; with the subject of what was found as a referrer. */
function closure(from: MemoryRepository, root: string): { digest: string; subject?: string }[] {
  const found = new Map<string, { digest: string; subject?: string }>([[root, { digest: root }]]);
  for (const { digest } of found.values()) {
    const stored = from.manifests.get(digest);
    if (stored === undefined) continue;
    for (const child of childrenOf(stored.manifest)) {
      if (isManifestMediaType(child.mediaType) && !found.has(child.digest))
        found.set(child.digest, { digest: child.digest });
    }
    for (const { descriptor, manifest } of from.manifests.values()) {
      if (manifest.subject?.digest === digest && !found.has(descriptor.digest)) {
        found.set(descriptor.digest, { digest: descriptor.digest, subject: digest });
      }
    }
  }
  return [...found.values()];
}

/** Digests of our SBOMs, or our signatures, that refer to a manifest. */
function ours(model: Model, repository: MemoryRepository, subject: string, what: 'signature' | 'sbom'): string[] {
  const { signer } = model.world;
  const thumbprint = signer && leafThumbprint(signer);
  const found: string[] = [];
  for (const { descriptor, manifest } of repository.manifests.values()) {
    if (manifest.subject?.digest !== subject) continue;
    const type = artifactTypeOf(manifest);
    if (what === 'sbom' && type === CYCLONEDX_JSON) found.push(descriptor.digest);
    const isOurs =
      thumbprint !== undefined && Object.values(manifest.annotations ?? {}).some((text) => text.includes(thumbprint));
    if (what === 'signature' && type === NOTARY_SIGNATURE && isOurs) found.push(descriptor.digest);
  }
  return found;
}
