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

/** An image of a layout, and the tag that it is pushed under. */
interface LayoutImage {
  /** What the layout knows it by: a name or a digest. */
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

/** A client that signs in to the local registries with the user's password, as any other would. */
export function userRegistries({ user, source, staging }: Pick<Stack, 'user' | 'source' | 'staging'>): RegistryClient {
  return createRegistries({ credentials: basicCredentials(user.name, user.password, [source, staging]) });
}

/**
 * Opens the layout at PATH, PATH:TAG or PATH@DIGEST, and finds what there is to push: each tag; where there is none, the one
 * manifest, as `latest`.
 * @throws InputError `LAYOUT_NOT_FOUND`, `LAYOUT_INVALID`, `LAYOUT_EMPTY`, `LAYOUT_AMBIGUOUS`, `IMAGE_NOT_FOUND`
 */
export async function openImages(image: string): Promise<LayoutImages> {
  const { path, wanted } = await splitImage(image);
  const layout = await openLayout(path);
  if (wanted !== undefined) {
    await layout.resolve(wanted).catch((cause: unknown) => {
      throw new InputError('IMAGE_NOT_FOUND', `the layout ${path} has no ${wanted}`, {
        cause,
        remedy: 'Name one of its tags or digests, or the layout alone.',
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

/** Tags of the referrers tag schema, and cosign's: they travel with what they belong to. */
function isReferrerTag(name: string): boolean {
  return isDigestTag(name) || /^sha(?:256|512)-[0-9a-f]{64,128}$/.test(name);
}

/** A layout may give a whole reference where a tag is meant. */
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
      remedy: 'Give a layout whose index.json lists an image, best with a tag (org.opencontainers.image.ref.name).',
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

/** Pushes an image with all its referrers to the source registry: the tag last, which raises the event. */
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
