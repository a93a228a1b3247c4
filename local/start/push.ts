import {
  basicCredentials,
  copyGraph,
  createRegistries,
  openLayout,
  planGraph,
  type RegistryClient,
} from '../../src/oci/index.js';
import type { Stack } from './stack.js';

export interface Pushed {
  repository: string;
  tag: string;
  digest: string;
}

/** A client that signs in to the local registries with the user's password, as any other would. */
export function userRegistries(stack: Stack): RegistryClient {
  const { name, password } = stack.user;
  return createRegistries({ credentials: basicCredentials(name, password, [stack.source, stack.staging]) });
}

/** Pushes an OCI layout with all its referrers to the source registry: the tag last, which raises the event. */
export async function pushLayout(
  stack: Stack,
  registries: RegistryClient,
  layout: string,
  repository: string,
  signal: AbortSignal,
): Promise<Pushed> {
  const source = await openLayout(layout);
  let tag = 'latest';
  for await (const named of source.listTags()) {
    tag = named;
    break;
  }
  const root = await source.resolve(tag, { signal });
  const destination = registries.repository(stack.source, repository);
  const plan = await planGraph(source, root, { recursive: true, signal });
  await copyGraph(plan, source, destination, { signal });
  const { bytes, descriptor } = await source.fetchManifest(root, { signal });
  await destination.pushManifest(bytes, descriptor.mediaType, { tag, signal });
  return { repository, tag, digest: root.digest };
}
