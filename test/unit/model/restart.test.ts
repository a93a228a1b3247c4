import { expect, test } from '@jest/globals';
import type { Timed } from './history.js';
import { App } from './app.js';
import { Happenings } from './happenings.js';
import { START_MS } from './images.js';
import { Simulation } from './simulation.js';
import { inVirtualTime } from './virtual-time.js';
import { SIMPLE } from './setting.js';

const PUSH: Timed = { is: 'push', image: 0, repository: 0, tag: 0, after: 0 };
const ASK: Timed = { is: 'ask', repository: 0, tag: 0, after: 0 };

test.each([
  ['a run that its promotion still names', [PUSH], 0],
  ['a job', [PUSH, ASK], 1],
] as const)('%s begins anew if it is started again after its end, and does nothing', async (_what, happenings, nth) => {
  const simulation = new Simulation(START_MS, []);
  await inVirtualTime(simulation, async () => {
    const app = new App(simulation, { setting: SIMPLE, happenings: [], copies: [], choices: [] });
    const there = new Happenings(app);
    const rest = async (): Promise<void> => {
      while (await simulation.step());
      const { nextTimerMs } = simulation;
      if (nextTimerMs === undefined) return;
      await simulation.advanceTo(nextTimerMs);
      await rest();
    };
    for (const happening of happenings) {
      await there.happen(happening);
      await rest();
    }
    const id = app.watches.opened[nth] ?? '';
    const run = (await app.world.store.getRun(id))?.value;
    const { items: before } = await app.world.store.listPromotions();
    const first = app.engine.instances.get(id);
    expect([run?.state, first?.state, before.length]).toEqual(['ended', 'ended', 1]);
    if (nth === 0) expect(before[0]?.runId).toBe(id);

    await app.engine.start(first?.name ?? '', id, first?.input);
    expect(await app.engine.state(id)).toMatchObject({ state: 'pending' });
    const { steps } = simulation;
    await rest();
    const second = app.engine.instances.get(id);
    expect(second).not.toBe(first);
    expect(second).toMatchObject({ state: 'ended', output: null });
    expect(simulation.steps).toBeGreaterThan(steps + 3);
    expect((await app.world.store.getRun(id))?.value).toEqual(run);
    expect((await app.world.store.listPromotions()).items).toEqual(before);
    expect([...app.watches.problems]).toEqual([]);
  });
});
