import type { Rule } from '../../../src/rules/rule.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { Versioned } from '../../../src/ports/versioned.js';
import type { World } from '../../support/world.js';
import type { Task } from './simulation.js';

/** What keeps the app right, each to be taken out in turn: the model must notice. */
export type Guard =
  | 'wanted at closing'
  | 'kept signature'
  | 'fencing'
  | 'ended run'
  | 'event name'
  | 'cancelled mark'
  | 'rule still there'
  | 'conditional removal'
  | 'pace';

type Store = World['store'];

/** What an activity is given without a guard. */
export async function givenWithout(
  guard: Guard | undefined,
  name: string,
  given: unknown,
  world: World,
): Promise<unknown> {
  if (guard !== 'wanted at closing' || name !== 'closeRun') return given;
  const closing = given as { promotionId: string };
  const row = await world.store.getPromotion(closing.promotionId);
  return { ...closing, generation: row?.value.generation ?? 0 };
}

/**
 * The ports of one piece of work without a guard.
 * @param firstRules as they were when all began
 */
export function viewWithout(
  guard: Guard | undefined,
  name: string,
  task: Task,
  view: World,
  firstRules: readonly Rule[],
): World {
  const { runId, promotionId } = task;
  switch (guard) {
    case 'fencing':
      // Each step takes its promotion's row to be its run's. At its begin it is refused all the same if the run's own row has ended:
      // a run's row ends before its promotion names another. Between its begin and its write nothing else refuses it.
      if (runId === undefined || promotionId === undefined) return view;
      return withRows(view, (row) => (row.id === promotionId ? { ...row, runId, runOpen: true } : row));
    case 'ended run':
      // No step sees that its run has ended. A promotion's run is refused all the same by its first step, since its promotion's row
      // is closed or another run's; a job has nothing else.
      return runId === undefined || name === 'closeRun' || name === 'closeJob' ? view : withRunOpen(view, runId);
    case 'cancelled mark':
      if (name !== 'onScheduleMessage') return view;
      return withRows(view, ({ last, ...row }) =>
        last === undefined || last.outcome === 'cancelled' ? row : { ...row, last },
      );
    case 'rule still there':
      if (name !== 'closeRun') return view;
      return { ...view, rules: { ...view.rules, load: async () => [...firstRules] } };
    case 'pace':
      // No run knows of those before it that they were superseded.
      return name === 'closeRun' ? withRows(view, ({ superseded: _times, ...row }) => row) : view;
    case 'wanted at closing':
    case 'kept signature':
    case 'event name':
    case 'conditional removal':
    case undefined:
      return view;
  }
}

function derived(store: Store): Store {
  return Object.create(store) as Store;
}

/** Anybody who reads a promotion's row reads it so. */
function withRows(view: World, read: (row: PromotionRow) => PromotionRow): World {
  const store = derived(view.store);
  const versioned = (row: Versioned<PromotionRow> | undefined) => row && { ...row, value: read(row.value) };
  store.getPromotion = async (id) => versioned(await view.store.getPromotion(id));
  store.listPromotions = async (options) => {
    const page = await view.store.listPromotions(options);
    return { ...page, items: page.items.map(read) };
  };
  return { ...view, store };
}

/** A step reads its run's row as if the run had not ended; what it writes leaves the end in place. */
function withRunOpen(view: World, runId: string): World {
  const store = derived(view.store);
  store.getRun = async (id) => {
    const run = await view.store.getRun(id);
    if (id !== runId || run?.value.state !== 'ended') return run;
    const { result: _how, finishedAt: _when, ...value } = run.value;
    return { ...run, value: { ...value, state: 'running' } };
  };
  store.replaceRun = async (row, version) => {
    const run = row.id === runId ? (await view.store.getRun(runId))?.value : undefined;
    const { state, result, finishedAt } = run?.state === 'ended' ? run : row;
    const end = { ...(result && { result }), ...(finishedAt !== undefined && { finishedAt }) };
    return view.store.replaceRun({ ...row, state, ...end }, version);
  };
  return { ...view, store };
}

/** Before anything is played. */
export function takeOut(guard: Guard | undefined, world: World): void {
  const { documents, store } = world;
  if (guard === 'kept signature') {
    const getVersioned = documents.getVersioned.bind(documents);
    // Nobody finds what is kept, and each keeps his own.
    documents.getVersioned = async (container, name) =>
      name.startsWith('signatures/') ? undefined : getVersioned(container, name);
    documents.putVersioned = async (container, name, bytes) => {
      await documents.put(container, name, bytes);
      return (await getVersioned(container, name))?.version ?? '';
    };
  } else if (guard === 'conditional removal') {
    const remove = store.removePromotion.bind(store);
    store.removePromotion = async (row) => remove((await store.getPromotion(row.id))?.value ?? row);
  }
}
