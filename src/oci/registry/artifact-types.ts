import type { Descriptor } from '../descriptor.js';
import { PromoterError } from '../errors.js';
import { artifactTypeOf, isManifestMediaType, parseManifest } from '../manifest.js';
import type { FetchedManifest } from '../store.js';
import { mapConcurrently } from './concurrently.js';
import { ENTRIES_AT_ONCE } from './pages.js';

/** Adds missing artifact types to a list of referrers. ACR omits them in some entries; the manifest has them. */
export function withArtifactTypes(
  name: string,
  entries: readonly Descriptor[],
  fetch: (entry: Descriptor) => Promise<FetchedManifest>,
): Promise<Descriptor[]> {
  return mapConcurrently(entries, ENTRIES_AT_ONCE, async (entry) => {
    if (entry.artifactType !== undefined || !isManifestMediaType(entry.mediaType)) return entry;
    try {
      const { bytes } = await fetch(entry);
      const artifactType = artifactTypeOf(parseManifest(bytes, entry.mediaType, `${name}@${entry.digest}`));
      return artifactType === undefined ? entry : { ...entry, artifactType };
    } catch (error) {
      // An entry whose manifest is missing or malformed stays in the list. A client that fetches it gets the error.
      if (error instanceof PromoterError && !error.transient) return entry;
      throw error;
    }
  });
}
