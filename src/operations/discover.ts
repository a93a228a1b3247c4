import { discoverTree, formatTable, formatTree, toDiscoverJson } from '../oras/index.js';
import type { discover } from './discover.schema.js';
import { resolveRoot, type Operation } from './operation.js';

/** Lists the referrers of a manifest, and their referrers. */
export const run: Operation<typeof discover> = async (
  opened,
  { reference, platform, format, distributionSpec: _spec, ...options },
  _files,
  { signal, text },
) => {
  const root = await resolveRoot(opened, platform === undefined ? {} : { platform }, signal);
  const tree = await discoverTree(opened.repository, root, { ...options, signal });
  text?.(`${tree.referrers.length} refer to ${root.digest}`);
  const output = {
    json: () => toDiscoverJson(tree),
    tree: () => formatTree(tree),
    table: () => formatTable(tree, reference),
  }[format]();
  return { output, digest: root.digest };
};
