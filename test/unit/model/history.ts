import fc from 'fast-check';
import { IMAGES } from './images.js';
import { CHANGES, type Change, type Setting } from './setting.js';
import { ENDLESS_SECONDS, LATE, type Late, type Trouble } from './troubles.js';

/** What happens to the world, and to the app. `nth` is taken of those that there are. */
export type Happening =
  /** `untold`: its event never comes. */
  | { is: 'push'; image: number; repository: number; tag: number; untold?: true }
  | { is: 'attach'; what: 'report' | 'note' | 'evidence'; image: number; repository: number }
  | { is: 'untag'; repository: number; tag: number }
  | { is: 'delete'; image: number; repository: number }
  /** Somebody sets the destination's tag by hand, deletes it, or deletes what refers to what it stands on. */
  | { is: 'tamper'; how: 'move' | 'untag' | 'drop'; image: number; repository: number; tag: number }
  | { is: 'tick' }
  | { is: 'time'; seconds: number }
  /** A worker dies in what it is doing. `lands`: what it had just asked for arrives all the same, some time. */
  | { is: 'crash'; nth: number; how: 'fails' | 'again' | 'later'; lands: boolean }
  /** All of them do. */
  | { is: 'kill'; how: 'again' | 'later'; lands: boolean }
  /** A worker falls asleep, is taken to be dead, and wakes up some time. */
  | { is: 'pause'; nth: number }
  /** The engine loses an instance. */
  | { is: 'lose'; nth: number }
  /** The message that starts the next run is late, by twenty minutes. */
  | { is: 'stick' }
  /** A run or a job that has ended is started once more, by a message that is late: the engine forgets what it did, and begins anew. */
  | { is: 'restart'; nth: number }
  /** The turn of an orchestration is cut off; or the first turn of the next run that is started. */
  | { is: 'cut'; nth: number; of: 'whole' | 'next' }
  /** An activity fails for good: each worker that tries it dies. */
  | { is: 'doom'; nth: number; step?: string }
  /** What a worker does hangs until functionTimeout, and so do `more` tries of it; or an orchestration's turn does, and is cut off then, or done again. */
  | { is: 'hang'; nth: number; lands: boolean; more: number }
  | { is: 'stall'; nth: number; cut: boolean; more: number }
  /** Somebody asks for a promotion by a job. */
  | { is: 'ask'; repository: number; tag: number }
  /** PROMOTION_PAUSED is set, or lifted. */
  | { is: 'hold'; on: boolean }
  /** The destination loses the next referrer that is pushed. */
  | { is: 'forget'; repository: number }
  /** Somebody stops one of the open runs, or wants a promotion looked at, whatever came of it. */
  | { is: 'cancel'; nth: number }
  | { is: 'again'; nth: number }
  /** Somebody changes the rules. */
  | { is: 'rules'; change: Change }
  /** The document of rules can't be read as rules, for so long. */
  | { is: 'invalid'; seconds: number }
  /** Housekeeping, after so much time; what is older than a day is old. */
  | { is: 'house'; hours: number }
  /** A registry fails for a while. */
  | ({ is: 'trouble' } & Trouble)
  /** A replica of a registry, or each of them, is late for a while, ten minutes at most. */
  | ({ is: 'late' } & Trouble & { late: Late })
  /** The storage account's answers to so many writes are lost: the client writes once more, and If-Match fails. */
  | { is: 'deaf'; calls: number }
  /** A destination tag is locked, or unlocked. */
  | { is: 'lock'; repository: number; tag: number; on: boolean };

/** Calls of ports at which it is worth while to let something happen. */
const MOMENTS = [
  'pushManifest',
  'store replacePromotion',
  'listReferrers',
  'markWaiting: store',
  'closeRun: store',
  'closeRun: store replacePromotion',
  'observe: store',
  'attach: store',
  'copy: store',
  'incrementPromotions: store',
  'removePromotion',
  'engine start',
  'queue send',
  'putVersioned',
] as const;

/** A happening, so many steps after the one before, and then when somebody is about to do `at`. */
export type Timed = Happening & { after: number; at?: (typeof MOMENTS)[number] };

export interface History {
  setting: Setting;
  happenings: Timed[];
  /** How often each event is delivered, in turn: 0 is never. */
  copies: number[];
  /** Replicas that are late are no excuse: all is well before the schedule looks, and no destination goes back. */
  strict?: boolean;
  /** Which of the things that can happen next does: 0 is the one that has waited longest. */
  choices: number[];
}

const nth = fc.nat(7);
const one = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

type Kinds = {
  [K in Happening['is']]: { weight: number; unseen?: true; make: fc.Arbitrary<Happening & { is: K }> };
};

const everywhere = one('source' as const, 'destination' as const, 'everywhere' as const);
const lasting = fc.oneof(
  fc.record({ calls: fc.integer({ min: 1, max: 5 }), seconds: one(ENDLESS_SECONDS) }),
  fc.record({ calls: one(ENDLESS_SECONDS), seconds: one(20, 400, 1_500, ENDLESS_SECONDS) }),
);
const trouble = fc
  .oneof(
    fc.record({
      where: everywhere,
      how: one(
        'busy' as const,
        'down' as const,
        'slow' as const,
        'broken' as const,
        'denied' as const,
        'readonly' as const,
      ),
    }),
    fc.record({ where: one('source' as const), how: one('gone' as const) }),
    fc.record({ where: everywhere, how: one('stale' as const, 'torn' as const) }),
  )
  .chain((what) => lasting.map((long) => ({ is: 'trouble' as const, ...what, ...long })));

const late = fc.record({
  is: one('late' as const),
  where: everywhere,
  how: one('stale' as const, 'torn' as const),
  late: one(...LATE),
  calls: one(ENDLESS_SECONDS),
  seconds: one(20, 200, 600),
  turn: one(1, 1, 2, 3, 5, 12),
});

const image = fc.nat(IMAGES.length - 1);
const repository = fc.oneof({ weight: 3, arbitrary: one(0) }, one(1));
const tag = repository;

/** What happens, how often, and whether only the schedule can find out (the app is not told). */
const KINDS: Kinds = {
  push: { weight: 8, make: fc.record({ is: one('push' as const), image, repository, tag }) },
  attach: {
    weight: 6,
    make: fc.record({
      is: one('attach' as const),
      what: one('report' as const, 'note' as const, 'evidence' as const),
      image,
      repository,
    }),
  },
  untag: { weight: 1, make: fc.record({ is: one('untag' as const), repository, tag }) },
  delete: { weight: 1, make: fc.record({ is: one('delete' as const), image, repository }) },
  tamper: {
    weight: 1,
    unseen: true,
    make: fc.record({
      is: one('tamper' as const),
      how: one('move' as const, 'untag' as const, 'drop' as const),
      image,
      repository,
      tag,
    }),
  },
  tick: { weight: 1, make: fc.record({ is: one('tick' as const) }) },
  time: { weight: 2, make: fc.record({ is: one('time' as const), seconds: one(1, 20, 310, 1_000) }) },
  crash: {
    weight: 4,
    make: fc.record({
      is: one('crash' as const),
      nth,
      how: one('fails' as const, 'again' as const, 'later' as const),
      lands: fc.boolean(),
    }),
  },
  kill: {
    weight: 1,
    make: fc.record({ is: one('kill' as const), how: one('again' as const, 'later' as const), lands: fc.boolean() }),
  },
  pause: { weight: 2, unseen: true, make: fc.record({ is: one('pause' as const), nth }) },
  lose: { weight: 1, unseen: true, make: fc.record({ is: one('lose' as const), nth }) },
  stick: { weight: 1, unseen: true, make: fc.record({ is: one('stick' as const) }) },
  cut: {
    weight: 2,
    unseen: true,
    make: fc.record({ is: one('cut' as const), nth, of: one('whole' as const, 'next' as const) }),
  },
  doom: { weight: 1, unseen: true, make: fc.record({ is: one('doom' as const), nth }) },
  hang: {
    weight: 1,
    unseen: true,
    make: fc.record({ is: one('hang' as const), nth, lands: fc.boolean(), more: fc.nat(1) }),
  },
  stall: {
    weight: 1,
    unseen: true,
    make: fc.record({ is: one('stall' as const), nth, cut: fc.boolean(), more: fc.nat(1) }),
  },
  restart: { weight: 1, make: fc.record({ is: one('restart' as const), nth }) },
  ask: { weight: 1, make: fc.record({ is: one('ask' as const), repository, tag }) },
  hold: { weight: 1, unseen: true, make: fc.record({ is: one('hold' as const), on: fc.boolean() }) },
  forget: { weight: 1, make: fc.record({ is: one('forget' as const), repository }) },
  cancel: { weight: 2, make: fc.record({ is: one('cancel' as const), nth }) },
  again: { weight: 1, make: fc.record({ is: one('again' as const), nth }) },
  rules: { weight: 2, unseen: true, make: fc.record({ is: one('rules' as const), change: one(...CHANGES) }) },
  invalid: { weight: 1, unseen: true, make: fc.record({ is: one('invalid' as const), seconds: one(20, 400, 3_000) }) },
  house: { weight: 1, unseen: true, make: fc.record({ is: one('house' as const), hours: one(0, 2, 25) }) },
  trouble: { weight: 3, make: trouble },
  late: { weight: 3, unseen: true, make: late },
  deaf: { weight: 2, make: fc.record({ is: one('deaf' as const), calls: one(1, 1, 2, 5) }) },
  lock: { weight: 2, make: fc.record({ is: one('lock' as const), repository, tag, on: one(true, true, false) }) },
};
const ALL = Object.keys(KINDS) as Happening['is'][];
/** Of these the app is told, so that all is well before the schedule looks. */
const SEEN = ALL.filter((kind) => KINDS[kind].unseen !== true);

/** What the cloud does to orchestrations, and what makes it tell. */
const LIES = [
  'push',
  'attach',
  'tick',
  'time',
  'cut',
  'doom',
  'hang',
  'stall',
  'restart',
  'lose',
  'stick',
  'cancel',
  'ask',
] as const;

/** @param inTurn how many steps in turn there are to one out of turn */
export function choicesOf(inTurn: number): fc.Arbitrary<number[]> {
  return fc.array(fc.oneof({ weight: inTurn, arbitrary: one(0) }, { weight: 1, arbitrary: fc.nat(40) }), {
    maxLength: 700,
    size: 'max',
  });
}

const often = fc.oneof({ weight: 5, arbitrary: one(true) }, one(false));
const seldom = fc.oneof({ weight: 7, arbitrary: one(false) }, one(true));
const settings: fc.Arbitrary<Setting> = fc.record({
  gate: one(true, false, false),
  sign: often,
  sbom: often,
  elsewhere: fc.boolean(),
  second: fc.oneof(
    { weight: 4, arbitrary: one('none' as const) },
    one('mirror' as const, 'onward' as const, 'same' as const),
  ),
  tellsUntagged: often,
  attachesThere: seldom,
  spreads: seldom,
  before: seldom,
  ignores: seldom,
  observes: seldom,
  narrow: seldom,
  pageRows: fc.oneof({ weight: 5, arbitrary: one(undefined) }, one(1, 2)),
});

/** Histories in which only these things happen. @param lossy some events never arrive */
function historiesOf(only: readonly Happening['is'][], lossy = false): fc.Arbitrary<History> {
  const happening = fc.oneof(...only.map((kind) => ({ weight: KINDS[kind].weight, arbitrary: KINDS[kind].make })));
  const at = fc.option(one(...MOMENTS), { nil: undefined });
  const timed = fc
    .tuple(happening, fc.oneof(fc.nat(10), fc.nat(120)), at)
    .map(([what, after, moment]): Timed => ({ ...what, after, ...(moment !== undefined && { at: moment }) }));
  // Before anything is pushed little can happen.
  const first = KINDS.push.make.map((what): Timed => ({ ...what, after: 0 }));
  return fc.record({
    setting: settings,
    happenings: fc
      .tuple(fc.array(first, { maxLength: 1 }), fc.array(timed, { minLength: 1, maxLength: 14, size: 'max' }))
      .map((parts) => parts.flat()),
    copies: fc.array(lossy ? one(0, 1, 2) : one(1, 2, 3), { maxLength: 8, size: 'max' }),
    choices: fc.oneof(choicesOf(1), choicesOf(9)),
  });
}

/** Those in which the engine does what the cloud does, over and over. */
const lying: fc.Arbitrary<History> = historiesOf(LIES);

/** Of all kinds: those in which events report everything to the app, and those in which they do not. */
export const histories: fc.Arbitrary<History> = fc.oneof(
  { weight: 3, arbitrary: historiesOf(SEEN) },
  { weight: 2, arbitrary: historiesOf(ALL) },
  { weight: 1, arbitrary: historiesOf(ALL, true) },
  { weight: 1, arbitrary: lying },
);
