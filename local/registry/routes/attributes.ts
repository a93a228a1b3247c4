import type { Context, Handler } from '../context.js';
import { readBody, FORM_BYTES } from '../http.js';
import { Refusal, refuse } from '../refusal.js';
import type { Lock } from '../storage/locks.js';
import { isRecord } from '../../../src/oci/index.js';

/** A lock as ACR shows it. */
export function attributesOf({ writable, deletable }: Lock): Record<string, boolean> {
  return { deleteEnabled: deletable, writeEnabled: writable, readEnabled: true, listEnabled: true };
}

/** `GET /acr/v1/<name>` and `/acr/v1/<name>/_tags/<tag>`. */
export const getAttributes: Handler = async (context, call, { repository, reference }) => {
  call.json(200, describe(context, repository, reference));
};

/** `PATCH`, with `{"writeEnabled": false}`: locks and unlocks. What the body leaves out stays. */
export const patchAttributes: Handler = async (context, call, { repository, reference }) => {
  describe(context, repository, reference);
  const tag = reference === '' ? undefined : reference;
  const { writable, deletable } = context.locks.of(repository, tag);
  const wanted = parse(await readBody(call.request, FORM_BYTES));
  context.locks.set(repository, tag, {
    writable: wanted.writeEnabled ?? writable,
    deletable: wanted.deleteEnabled ?? deletable,
  });
  call.json(200, describe(context, repository, reference));
};

function describe(context: Context, repository: string, tag: string): unknown {
  if (!context.manifests.hasRepository(repository)) throw refuse.nameUnknown(repository);
  const { name: registry } = context;
  if (tag === '') {
    return { registry, imageName: repository, changeableAttributes: attributesOf(context.locks.of(repository)) };
  }
  const found = context.manifests.tag(repository, tag);
  if (found === undefined) throw new Refusal(404, 'TAG_UNKNOWN', 'the specified tag does not exist');
  const { digest, created: createdTime, updated: lastUpdateTime } = found;
  const changeableAttributes = attributesOf(context.locks.of(repository, tag));
  return {
    registry,
    imageName: repository,
    tag: { name: tag, digest, createdTime, lastUpdateTime, signed: false, changeableAttributes },
  };
}

function parse(bytes: Buffer): { writeEnabled?: boolean; deleteEnabled?: boolean } {
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch {
    body = undefined;
  }
  if (!isRecord(body)) throw new Refusal(400, 'UNSUPPORTED', 'the attributes are no JSON object');
  const { writeEnabled, deleteEnabled } = body;
  return {
    ...(typeof writeEnabled === 'boolean' && { writeEnabled }),
    ...(typeof deleteEnabled === 'boolean' && { deleteEnabled }),
  };
}
