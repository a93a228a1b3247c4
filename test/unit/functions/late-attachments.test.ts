import { expect, test } from '@jest/globals';
import type { Digest } from '../../../src/oci/index.js';
import { incrementGeneration } from '../../../src/rows/generation.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { newPlayedWorld, outcomes, type PlayedWorld } from '../../support/played-world.js';
import { SOURCE } from '../../support/world.js';

// The source does not list yet what the run has attached there: in a geo-replicated registry, another region answers.

const MINUTE = 60_000;
const SBOM = 'application/vnd.cyclonedx+json';

/** An image at a source whose lists of referrers show each one so much later. */
async function prepared(lateMs: number): Promise<{ play: PlayedWorld; digest: Digest }> {
  const play = newPlayedWorld(rule({ existing: 'promote' }));
  const { digest } = await pushImage(play.source, { tag: SOURCE.tag });
  const firstSeen = new Map<string, number>();
  play.source.replica = (there, read) => {
    for (const each of there.manifests.keys()) {
      if (!firstSeen.has(each)) firstSeen.set(each, play.world.nowMs);
    }
    const isListed = (each: string): boolean =>
      each === digest || play.world.nowMs - (firstSeen.get(each) ?? 0) >= lateMs;
    return read({ ...there, referrers: new Map([...there.referrers].filter(([each]) => isListed(each))) });
  };
  await incrementGeneration(play.world, play.world.ruleList[0] ?? rule(), SOURCE, { kind: 'push' });
  return { play, digest };
}

test('attachments that the source lists late are copied at once, and none is attached twice', async () => {
  const { play, digest } = await prepared(10 * MINUTE);
  const since = play.world.nowMs;
  expect(outcomes(await play.playAll())).toEqual(['promoted']);
  expect(play.world.nowMs - since).toBeLessThan(MINUTE);
  play.world.nowMs += 15 * MINUTE;
  for (const at of [play.source, play.destination]) {
    const sboms = (await at.listReferrers(digest)).filter(({ artifactType }) => artifactType === SBOM);
    expect(sboms).toHaveLength(1);
  }
});
