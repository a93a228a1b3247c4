import { isDigest, isTag } from '../../../src/oci/index.js';
import type { Context, Handler } from '../context.js';
import { deleteEvent } from '../events/event.js';
import { refuse } from '../refusal.js';
import { transaction } from '../storage/database.js';

/** `DELETE /v2/<name>/manifests/<reference>`: only the tag; or by digest the manifest, its tags and its referrers. */
export const deleteManifest: Handler = async (context, call, { repository, reference }) => {
  if (isTag(reference)) {
    removeTag(context, repository, reference, () => refuse.manifestUnknown(repository, reference));
    call.empty(202);
    return;
  }
  if (!isDigest(reference)) throw refuse.digestInvalid('invalid digest', { digest: reference });
  const tags = context.manifests.tagsOf(repository, reference);
  if (!context.locks.mayDelete(repository, [reference, ...tags])) throw refuse.locked();
  transaction(context.database, () => {
    const gone = context.manifests.remove(repository, reference);
    if (gone.length === 0) throw refuse.manifestUnknown(repository, reference);
    for (const manifest of gone) context.events.add(deleteEvent(context, call, repository, manifest));
  });
  context.reads.later((store) => store.remove(repository, reference));
  context.events.wake();
  call.empty(202);
};

/** `DELETE /acr/v1/<name>/_tags/<tag>`: the manifest stays. Raises no event, as in ACR. */
export const deleteTag: Handler = async (context, call, { repository, reference }) => {
  removeTag(context, repository, reference, () => refuse.tagUnknown(reference));
  call.empty(202);
};

/** `DELETE /acr/v1/<name>`: all manifests, tags and blobs of a repository, unless one of them is locked. */
export const deleteRepository: Handler = async (context, call, { repository }) => {
  if (!context.manifests.hasRepository(repository)) throw refuse.nameUnknown(repository);
  if (!context.locks.mayDeleteAll(repository)) throw refuse.locked();
  const gone = transaction(context.database, () => {
    const { manifests, tags } = context.manifests.removeAll(repository);
    for (const manifest of manifests) context.events.add(deleteEvent(context, call, repository, manifest));
    return { manifestsDeleted: manifests.map(({ digest }) => digest), tagsDeleted: tags };
  });
  context.blobs.removeAll(repository);
  context.reads.later((store) => store.removeAll(repository));
  context.events.wake();
  call.json(202, gone);
};

function removeTag(context: Context, repository: string, tag: string, unknown: () => Error): void {
  if (!context.locks.mayDelete(repository, [tag])) throw refuse.locked();
  if (!context.manifests.removeTag(repository, tag)) throw unknown();
  context.reads.later((store) => store.removeTag(repository, tag));
}
