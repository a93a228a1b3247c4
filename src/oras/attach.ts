import { CopyError, InputError, type CallOptions, type Descriptor, type Repository } from '../oci/index.js';
import { withPacked, type ArtifactOptions, type Pushed, type PushPorts } from './push.js';
import { uploadArtifact } from './upload.js';

export interface AttachOptions extends ArtifactOptions {
  artifactType: string;
}

/** The referrer that was attached, and its subject. */
export interface Attached extends Omit<Pushed, 'tags'> {
  subject: Descriptor;
}

/** How often a referrer is pushed again that its subject's list does not show. */
const REPETITIONS = 3;

async function isListed(
  repository: Repository,
  subject: Descriptor,
  { digest }: Descriptor,
  call: CallOptions,
): Promise<boolean> {
  const listed = await repository.listReferrers(subject.digest, call);
  return listed.some((entry) => entry.digest === digest);
}

/**
 * Attaches files to a manifest: an image, an index, or a referrer of another. The same files make the same digest, so that
 * attaching them twice makes one. Registries lose referrers that are pushed at the same time: a referrer that the list
 * does not show is pushed again.
 * @param subject the manifest of a tag or digest, or one platform of it (`selectPlatform`)
 * @throws InputError `NOTHING_TO_ATTACH`, and as `loadLayers` and `packManifest`; CopyError `REFERRER_LOST`
 */
export async function attachFiles(
  { repository, files }: PushPorts,
  subject: Descriptor,
  options: AttachOptions,
): Promise<Attached> {
  const { signal } = options;
  const call = { signal };
  if (options.files.length === 0 && Object.keys(options.annotations?.manifest ?? {}).length === 0) {
    throw new InputError('NOTHING_TO_ATTACH', 'neither file nor annotation provided', {
      remedy: 'Give files, or annotations of the manifest.',
    });
  }
  return withPacked(files, { ...options, subject, imageSpec: 'v1.1' }, async (packed, upload) => {
    const { descriptor, bytes } = packed;
    await uploadArtifact(repository, packed, upload);
    for (let tries = 0; !(await isListed(repository, subject, descriptor, call)); tries += 1) {
      if (tries === REPETITIONS) {
        throw new CopyError(
          'REFERRER_LOST',
          `${repository.name} does not list ${descriptor.digest} at ${subject.digest}`,
          {
            remedy: 'Try again. If the registry has no referrers API, use --distribution-spec v1.1-referrers-tag.',
          },
        );
      }
      await repository.pushManifest(bytes, descriptor.mediaType, { ...call, described: descriptor });
    }
    return { descriptor, manifest: bytes, subject };
  });
}
