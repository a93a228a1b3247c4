import { expect, test } from '@jest/globals';
import { isDestinationFree } from '../../../src/rows/claims.js';
import { REGISTRY, newWorld } from '../../support/world.js';

test('the check if a destination is free does not claim it', async () => {
  const world = newWorld();
  const destination = 'x.azurecr.io/never/was:v1';
  expect(await isDestinationFree(world, { promotionId: 'p1', destination })).toBe(true);
  expect(await world.store.getClaim(destination)).toBeUndefined();
  const other = { rule: 'other', promotionId: 'p2', source: `${REGISTRY}/other:v1` };
  expect((await world.store.claimDestination(destination, other)).value).toEqual(other);
});
