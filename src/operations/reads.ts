import {
  discoverTree,
  fetchConfig,
  formatTable,
  formatTree,
  listRepositories,
  listTags,
  resolveConfig,
  toDiscoverJson,
} from '../oras/index.js';
import { contentOf } from './content.js';
import { described, platformOf, resolveTarget, tagOrDigestOf, targetOf, type Operation } from './operation.js';
import { isInScope } from './policy.js';

// What only looks.

export const resolve: Operation<'resolve'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const root = await resolveTarget(target, job, signal);
  return { output: described(target.repository.name, root), digest: root.digest };
};

export const discover: Operation<'discover'> = async ({ ports, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const root = await resolveTarget(target, job, signal);
  const { artifactType, depth, format } = job;
  const tree = await discoverTree(target.repository, root, {
    signal,
    ...(artifactType !== undefined && { artifactType }),
    ...(depth !== undefined && { depth }),
  });
  progress.text(`${tree.referrers.length} refer to ${root.digest}`);
  const output = {
    json: () => toDiscoverJson(tree),
    tree: () => formatTree(tree),
    table: () => formatTable(tree, job.reference),
  }[format]();
  return { output, digest: root.digest };
};

export const tags: Operation<'tags'> = async ({ ports, job, signal, progress }) => {
  const { repository } = targetOf(ports, job.reference);
  const { last, excludeDigestTags } = job;
  const listed = await listTags(repository, {
    signal,
    ...(last !== undefined && { last }),
    ...(excludeDigestTags !== undefined && { excludeDigestTags }),
  });
  progress.text(`${listed.length} tags`);
  return { output: { tags: listed } };
};

/** Repositories outside the operation's scope are not told of. */
export const repos: Operation<'repos'> = async ({ ports, job, signal, progress }) => {
  const { registry, namespace, last } = job;
  const repositories: string[] = [];
  const listed = listRepositories(ports.listing.registry(registry), {
    signal,
    ...(namespace !== undefined && { namespace }),
    ...(last !== undefined && { last }),
  });
  for await (const name of listed) if (isInScope(ports, 'repos', name)) repositories.push(name);
  progress.text(`${repositories.length} repositories`);
  return { output: { registry, repositories } };
};

export const fetchManifest: Operation<'manifest.fetch'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const root = await resolveTarget(target, job, signal);
  const head = described(target.repository.name, root);
  if (job.descriptor === true) return { output: head, digest: root.digest };
  const { bytes } = await target.repository.fetchManifest(root, { signal });
  return { output: { ...head, ...contentOf(bytes) }, digest: root.digest };
};

export const fetchConfigOf: Operation<'manifest.fetchConfig'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const config = await resolveConfig(repository, tagOrDigestOf(target), { signal, ...platformOf(job) });
  const head = described(repository.name, config);
  if (job.descriptor === true) return { output: head, digest: config.digest };
  const bytes = await fetchConfig(repository, config, { signal });
  return { output: { ...head, ...contentOf(bytes) }, digest: config.digest };
};
