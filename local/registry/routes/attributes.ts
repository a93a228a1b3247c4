import type { Context, Handler } from '../context.js';
import { readBody, FORM_BYTES } from '../http.js';
import { Refusal, refuse } from '../refusal.js';
import type { Lock } from '../storage/locks.js';
import type { ManifestEntry, TagEntry } from '../storage/manifests.js';
import { isDigest, isRecord } from '../../../src/oci/index.js';

/** A tag in the form of ACR's lists and of its own page. */
export function tagAttributes(context: Context, repository: string, entry: TagEntry): unknown {
  const { tag: name, digest, created: createdTime, updated: lastUpdateTime } = entry;
  const changeableAttributes = attributesOf(context.locks.of(repository, name));
  return { name, digest, createdTime, lastUpdateTime, signed: false, changeableAttributes };
}

/** A manifest in the form of ACR's lists and of its own page. */
export function manifestAttributes(context: Context, repository: string, entry: ManifestEntry): unknown {
  const { digest, mediaType, described, created: createdTime, updated: lastUpdateTime } = entry;
  const tags = context.reads.store.tagsOf(repository, digest);
  return {
    digest,
    createdTime,
    lastUpdateTime,
    mediaType,
    ...described,
    ...(tags.length > 0 && { tags }),
    changeableAttributes: attributesOf(context.locks.of(repository, digest)),
  };
}

/** `GET /acr/v1/<name>`, `/acr/v1/<name>/_tags/<tag>` and `/acr/v1/<name>/_manifests/<digest>`. */
export const getAttributes: Handler = async (context, call, { repository, reference }) => {
  call.json(200, describe(context, repository, reference));
};

/**
 * `PATCH`, for example with `{"writeEnabled": false}`: locks and unlocks. Fields that the body leaves out stay
 * unchanged.
 */
export const patchAttributes: Handler = async (context, call, { repository, reference }) => {
  describe(context, repository, reference);
  const name = reference === '' ? undefined : reference;
  const wanted = parse(await readBody(call.request, FORM_BYTES));
  context.locks.set(repository, name, { ...context.locks.of(repository, name), ...wanted });
  call.json(200, describe(context, repository, reference));
};

function describe(context: Context, repository: string, reference: string): unknown {
  const { reads, name: registry } = context;
  const manifests = reads.store;
  const summary = manifests.summary(repository);
  if (summary.manifestCount === 0) throw refuse.nameUnknown(repository);
  if (reference === '') {
    const changeableAttributes = attributesOf(context.locks.of(repository));
    return { registry, imageName: repository, ...summary, changeableAttributes };
  }
  if (isDigest(reference)) {
    const manifest = manifests.manifest(repository, reference);
    if (manifest === undefined) throw refuse.manifestUnknown(repository, reference);
    return { registry, imageName: repository, manifest: manifestAttributes(context, repository, manifest) };
  }
  const tag = manifests.tag(repository, reference);
  if (tag === undefined) throw refuse.tagUnknown(reference);
  return { registry, imageName: repository, tag: tagAttributes(context, repository, tag) };
}

const ATTRIBUTES = {
  deleteEnabled: 'deletable',
  writeEnabled: 'writable',
  readEnabled: 'readable',
  listEnabled: 'listable',
} as const satisfies Record<string, keyof Lock>;

function attributesOf(lock: Lock): Record<string, boolean> {
  return Object.fromEntries(Object.entries(ATTRIBUTES).map(([attribute, name]) => [attribute, lock[name]]));
}

function parse(bytes: Buffer): Partial<Lock> {
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch {
    body = undefined;
  }
  if (!isRecord(body)) throw new Refusal(400, 'UNSUPPORTED', 'the attributes are not a JSON object');
  const lock: Partial<Lock> = {};
  for (const [attribute, name] of Object.entries(ATTRIBUTES)) {
    const value = body[attribute];
    if (typeof value === 'boolean') lock[name] = value;
  }
  return lock;
}
