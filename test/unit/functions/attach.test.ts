import { describe, expect, test } from '@jest/globals';
import { attachImages } from '../../../src/functions/orchestrations/attach.js';
import { promote } from '../../../src/functions/orchestrations/promote.js';
import { rule } from '../../support/rules.fixture.js';
import { replay, type Played } from '../../support/replay.js';
import { OBSERVED, OWNER, ROOT, begun, promotion, type Answers } from '../../support/scripted.js';

// SBOMs and signatures of a large index: every image once, spread over orchestrations of a bounded number of calls.

const IMAGES = Array.from({ length: 101 }, (_, index) => ({
  ...ROOT,
  digest: `sha256:${String(index).padStart(64, '0')}` as typeof ROOT.digest,
  label: index === 0 ? 'index' : `linux/a${index}`,
  sbom: index > 0,
  ...(index === 0 && { why: 'an index: its images get one each' }),
}));

async function play(
  changes: Answers = {},
  which = rule(),
): Promise<Played & { closed: ReturnType<typeof promotion>['closed'] }> {
  const { activities, closed } = promotion({
    beginRun: () => begun(which),
    observe: () => ({ done: { ...OBSERVED, images: IMAGES } as typeof OBSERVED }),
    ...changes,
  });
  const played = await replay(promote, {
    input: OWNER,
    activities,
    orchestrations: { attachImages },
    twiceEvery: 10,
  });
  return { ...played, closed };
}
const labels = (played: Played, step: string): string[] =>
  played.calls
    .filter(({ name }) => name === step)
    .map(({ input }) => input as { label?: string; image?: { label: string } })
    .map(({ label, image }) => label ?? image?.label ?? '');

describe('an index of a hundred images', () => {
  test('each is described and signed once, at most a hundred calls in one orchestration', async () => {
    const played = await play();
    expect(played.output).toMatchObject({ outcome: 'promoted' });
    const images = IMAGES.map(({ label }) => label);
    expect(labels(played, 'attachSbom').sort()).toEqual(images.slice(1).sort());
    expect(labels(played, 'attachSignature').sort()).toEqual(images.sort());
    expect(played.subs.map(({ name, instanceId, calls }) => [name, instanceId, calls])).toEqual([
      ['attachImages', 'r1-attach-0', 79],
      ['attachImages', 'r1-attach-1', 80],
      ['attachImages', 'r1-attach-2', 42],
    ]);
    const inSubs = played.subs.reduce((total, { calls }) => total + calls, 0);
    expect(played.calls.length - inSubs).toBeLessThan(10);
  });

  test('history and receipt stay small, with a rule as large as rules may be', async () => {
    const trustStore = 'x'.repeat(20_000);
    const { closed, ...played } = await play(
      {
        observe: () => ({ done: { ...OBSERVED, images: IMAGES } as typeof OBSERVED }),
        checkEvidence: () => ({ done: { state: 'passed', wanted: 1 } }),
      },
      rule({ verify: { signatures: [{ format: 'notary', trustStore }] } }),
    );
    for (const { input, output } of played.subs) {
      expect(JSON.stringify(input).length).toBeLessThan(15_000);
      expect(JSON.stringify(output).length).toBeLessThan(200);
    }
    for (const { name, input } of played.calls)
      if (name.startsWith('attach')) expect(JSON.stringify(input).length).toBeLessThan(1000);
    expect(closed[0]?.did).toEqual([
      'attached 100 SBOMs, 0 were there',
      expect.stringMatching(/^attached \d+ signatures, \d+ were there$/),
      expect.stringMatching(/^copied /),
      expect.stringMatching(/^tagged /),
    ]);
  });

  test('nothing is described where the rule wants no SBOM, nothing signed where it signs nothing', async () => {
    const played = await play({}, rule({ sbom: { formats: [] } }));
    expect(labels(played, 'attachSbom')).toEqual([]);
    expect(labels(played, 'attachSignature')).toHaveLength(101);
    const unsigned = await play({}, rule({ sign: [] }));
    expect(labels(unsigned, 'attachSbom')).toHaveLength(100);
    expect(labels(unsigned, 'attachSignature')).toEqual([]);
  });

  test('one that fails for good ends the run with its code', async () => {
    const failed = { code: 'LAYER_INVALID', message: 'no', refused: false, remedy: 'push it again' };
    const { closed, ...played } = await play({
      attachSbom: ({ image }) =>
        image.label === 'linux/a50' ? { failed } : { done: { sbom: ROOT.digest, made: true } },
    });
    expect(closed[0]?.result).toMatchObject({ outcome: 'failed', code: 'LAYER_INVALID', remedy: 'push it again' });
    expect(played.subs).toHaveLength(2);
  });
});
