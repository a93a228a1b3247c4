import { expect } from '@jest/globals';
import { until } from '../promotion/everything.js';
import { pushImage } from './push.js';
import type { Row } from './row.js';

const TAG = 'v1';

export const rows: Row[] = [
  {
    statement: 'an image waits, and is not in staging, until those whom the rule trusts have signed it',
    rule: 'gated',
    attack: async (_stage, at) => ({ tag: TAG, root: await pushImage(at, { tag: TAG, contains: 'left-pad' }) }),
    demand: async (stage, pushed) => {
      const { repository, tag } = pushed;
      await until('the promotion to wait', async () =>
        (await stage.promotion(pushed))?.state === 'waiting' ? true : undefined,
      );
      await expect(stage.staging(repository).resolve(tag)).rejects.toMatchObject({ notFound: true });
    },
    twin: async (stage, at, name) => {
      const image = await pushImage(at, { contains: 'left-pad' });
      await stage.signAsThem(name, image.digest);
      const root = await pushImage(at, { tag: TAG, contains: 'left-pad' });
      return { tag: TAG, root, images: [{ image, contains: 'left-pad' }] };
    },
  },
];
