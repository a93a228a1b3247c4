import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  InputError,
  basicCredentials,
  copyGraph,
  createRegistries,
  isDigest,
  isDigestTag,
  isTag,
  openLayout,
  planGraph,
  type RegistryClient,
  type Repository,
} from '../../src/oci/index.js';
import type { Stack } from './stack.js';

/** An image of a layout and the tag for its push. */
interface LayoutImage {
  /** Its name or digest in the layout. */
  name: string;
  tag: string;
}

export interface LayoutImages {
  layout: Repository;
  images: readonly LayoutImage[];
}

export interface Pushed {
  /** `localhost:5100/samples/hello:v1` */
  reference: string;
  registry: string;
  repository: string;
  tag: string;
  digest: string;
  startedMs: number;
}

/** A client that signs in to the local registries with the user's password. */
export function userRegistries({ user, source, staging }: Pick<Stack, 'user' | 'source' | 'staging'>): RegistryClient {
  return createRegistries({ credentials: basicCredentials(user.name, user.password, [source, staging]) });
}

/**
 * Opens the layout at PATH, PATH:TAG or PATH@DIGEST and finds the images to push: each tag; without tags, the only
 * manifest as `latest`.
 * @throws InputError `LAYOUT_NOT_FOUND`, `LAYOUT_INVALID`, `LAYOUT_EMPTY`, `LAYOUT_AMBIGUOUS`, `IMAGE_NOT_FOUND`
 */
export async function openImages(image: string): Promise<LayoutImages> {
  const { path, wanted } = await splitImage(image);
  const layout = await openLayout(path);
  if (wanted !== undefined) {
    await layout.resolve(wanted).catch((cause: unknown) => {
      throw new InputError('IMAGE_NOT_FOUND', `the layout ${path} has no ${wanted}`, {
        cause,
        remedy: 'Use one of its tags or digests, or only the path of the layout.',
      });
    });
    return { layout, images: [{ name: wanted, tag: isDigest(wanted) ? 'latest' : tagFor(wanted) }] };
  }
  const byTag = new Map<string, LayoutImage>();
  for await (const name of layout.listTags()) {
    if (isReferrerTag(name)) continue;
    const tag = tagFor(name);
    const other = byTag.get(tag);
    if (other !== undefined && (await layout.resolve(other.name)).digest !== (await layout.resolve(name)).digest) {
      throw new InputError('LAYOUT_AMBIGUOUS', `${path} names two images ${tag}: ${other.name} and ${name}`, {
        remedy: `Choose one: --image ${path}:${name}.`,
      });
    }
    byTag.set(tag, { name, tag });
  }
  const tagged = [...byTag.values()].sort((a, b) => a.tag.localeCompare(b.tag));
  return { layout, images: tagged.length > 0 ? tagged : [await onlyManifest(path, layout)] };
}

async function splitImage(image: string): Promise<{ path: string; wanted?: string }> {
  if ((await stat(image).catch(() => undefined)) !== undefined) return { path: image };
  const match = /^(?<path>.+?)(?:@(?<digest>sha(?:256|512):[0-9a-f]+)|:(?<tag>[^/:\\]+))$/.exec(image);
  const { path = image, digest, tag } = match?.groups ?? {};
  const wanted = digest ?? tag;
  return wanted === undefined ? { path } : { path, wanted };
}

/** Tags of the referrers tag schema and of cosign. They travel with their subject. */
function isReferrerTag(name: string): boolean {
  return isDigestTag(name) || /^sha(?:256|512)-[0-9a-f]{64,128}$/.test(name);
}

/** A layout may have a whole reference in place of a tag. */
function tagFor(name: string): string {
  const last = name.slice(name.lastIndexOf(':') + 1);
  return [name, last].find(isTag) ?? 'latest';
}

const indexSchema = z.object({ manifests: z.array(z.object({ digest: z.string() })) });

async function onlyManifest(path: string, layout: Repository): Promise<LayoutImage> {
  const text = await readFile(join(path, 'index.json'), 'utf8').catch(() => '{"manifests":[]}');
  const digests = new Set(indexSchema.safeParse(JSON.parse(text)).data?.manifests.map(({ digest }) => digest));
  const [name, ...more] = digests;
  if (name === undefined || !isDigest(name)) {
    throw new InputError('LAYOUT_EMPTY', `${path} names no image`, {
      remedy:
        'Use a layout whose index.json lists an image, preferably with a tag (org.opencontainers.image.ref.name).',
    });
  }
  if (more.length > 0) {
    throw new InputError('LAYOUT_AMBIGUOUS', `${path} has ${digests.size} manifests and no tag`, {
      remedy: `Choose one: --image ${path}@${name}.`,
    });
  }
  await layout.resolve(name);
  return { name, tag: 'latest' };
}

/** Pushes an image and all its referrers to the source registry. The tag comes last and raises the event. */
export async function pushImage(
  { source: registry }: Pick<Stack, 'source'>,
  registries: RegistryClient,
  { layout, image, repository }: { layout: Repository; image: LayoutImage; repository: string },
  call: { signal: AbortSignal; onBytes(done: number, total: number): void },
): Promise<Pushed> {
  const { signal } = call;
  const startedMs = Date.now();
  const root = await layout.resolve(image.name, { signal });
  const destination = registries.repository(registry, repository);
  const plan = await planGraph(layout, root, { recursive: true, signal });
  await copyGraph(plan, layout, destination, {
    signal,
    onProgress: ({ movedBytes, totalBytes }) => call.onBytes(movedBytes, totalBytes),
  });
  const { bytes, descriptor } = await layout.fetchManifest(root, { signal });
  const { tag } = image;
  await destination.pushManifest(bytes, descriptor.mediaType, { tag, digest: root.digest, signal });
  return {
    reference: `${registry}/${repository}:${tag}`,
    registry,
    repository,
    tag,
    digest: root.digest,
    startedMs,
  };
}
