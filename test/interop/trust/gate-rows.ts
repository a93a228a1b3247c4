import { expect } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copyGraph, planGraph, type Repository } from '../../../src/oci/index.js';
import { NOTARY_SIGNATURE, notaryAnnotations } from '../../../src/signing/index.js';
import { until } from '../../support/stack/everything.js';
import { pushArtifact, pushImage, tagManifest } from './push.js';
import type { Row } from './row.js';
import type { Pushed, Stage } from './stage.js';

/** Attacks 7 and 8: the gate is asked, also where nothing differs, and nothing that is attached keeps it shut. */
const TAG = 'v1';
const contains = 'left-pad';

async function demandWaiting(stage: Stage, pushed: Pushed): Promise<void> {
  await until('the promotion to wait', async () =>
    (await stage.promotion(pushed))?.state === 'waiting' ? true : undefined,
  );
}

/** An image that they sign, and its tag last: so one run sees everything. */
function signedByThem(before: (stage: Stage, at: Repository, subject: object) => Promise<void>): Row['attack'] {
  return async (stage, at, name) => {
    const image = await pushImage(at, { contains });
    const { mediaType, digest, size } = image;
    await before(stage, at, { subject: { mediaType, digest, size } });
    await stage.signAsThem(name, digest);
    const root = await tagManifest(at, image, TAG);
    return { tag: TAG, root, images: [{ image, contains }] };
  };
}

/** Signatures that are none. @param annotations whose thumbprints they carry */
async function pushJunk(at: Repository, subject: object, count: number, annotations: object): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const text = `junk ${number} ${JSON.stringify(annotations)}`;
    await pushArtifact(at, { type: NOTARY_SIGNATURE, text, fields: { ...subject, annotations } });
  }
}

export const rows: Row[] = [
  {
    statement: 'an image waits, and is not in staging, until those whom the rule trusts have signed it',
    rule: 'gated',
    attack: async (_stage, at) => ({ tag: TAG, root: await pushImage(at, { tag: TAG, contains }) }),
    demand: async (stage, pushed) => {
      await demandWaiting(stage, pushed);
      const { repository, tag } = pushed;
      await expect(stage.staging(repository).resolve(tag)).rejects.toMatchObject({ notFound: true });
    },
    twin: signedByThem(async () => undefined),
  },
  {
    statement: 'junk signatures, half of them with the thumbprints of those whom the rule trusts, keep no gate shut',
    rule: 'gated',
    attack: signedByThem(async (stage, at, subject) => {
      const theirs = await readFile(join(stage.folder, 'notation/notation/localkeys/them.crt'));
      const annotations = notaryAnnotations({ certificates: [new X509Certificate(theirs).raw] });
      await pushJunk(at, subject, 60, {});
      await pushJunk(at, subject, 60, annotations);
    }),
    demand: (stage, pushed) => stage.expectPromoted(pushed),
    twin: signedByThem(async () => undefined),
  },
  {
    statement:
      'an image that somebody has copied to staging by hand is not in sync: the gate is asked though nothing differs',
    rule: 'late',
    attack: async (stage, at, name) => {
      const image = await pushImage(at, { tag: 'w1', contains });
      await stage.ended({ repository: name, tag: 'w1' });
      const to = stage.staging(name);
      await copyGraph(await planGraph(at, image, { recursive: true }), at, to);
      await tagManifest(to, image, TAG);
      return { tag: TAG, root: await tagManifest(at, image, TAG) };
    },
    demand: demandWaiting,
    twin: signedByThem(async () => undefined),
  },
];
