import { discoverTree, formatTable, formatTree, toDiscoverJson } from '../oras/index.js';
import type { discover } from './discover.schema.js';
import { resolveRoot, type Opened, type OperationResult, type Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';

/** Lists the referrers of a manifest, and their referrers. */
export async function run(
  opened: Opened,
  { reference, platform, format, distributionSpec: _spec, ...options }: InputOf<typeof discover>,
  _files: undefined,
  { signal, text }: Progress,
): Promise<OperationResult> {
  const root = await resolveRoot(opened, platform === undefined ? {} : { platform }, signal);
  const tree = await discoverTree(opened.repository, root, { ...options, signal });
  text?.(`${tree.referrers.length} refer to ${root.digest}`);
  const output = {
    json: () => toDiscoverJson(tree),
    tree: () => formatTree(tree),
    table: () => formatTable(tree, reference),
  }[format]();
  return { output, digest: root.digest };
}
