import fc from 'fast-check';
import { rule } from '../promotion/rules.fixture.js';
import type { Rule } from '../../../src/promotion/rule.js';
import { RELEASE } from './images.js';

export const REGISTRY = 'r.azurecr.io';
/** Another registry, for rules that lead out of the first. */
const ELSEWHERE = 's.azurecr.io';
export const REPOSITORIES = ['samples/a', 'samples/b'] as const;
export const TAGS = ['v1', 'v2'] as const;

/** What rules there are. */
export interface Setting {
  gate: boolean;
  sign: boolean;
  sbom: boolean;
  /** The destination is in another registry. */
  elsewhere: boolean;
  /** A second rule: on the same source to another place, from staging on, or to the very same tags. */
  second: 'none' | 'mirror' | 'onward' | 'same';
  /** Whether the registry tells of manifests that are pushed without a tag. */
  tellsUntagged: boolean;
  /** SBOMs and signatures are attached at the destination, where there is one rule only. */
  attachesThere?: boolean;
  /** A copy is spread over several activities, and so is each look at a graph. */
  spreads?: boolean;
}

export function rulesOf({ gate, sign, sbom, elsewhere, second, attachesThere = false }: Setting): Rule[] {
  const common = {
    existing: 'promote',
    attachTo: attachesThere && second === 'none' ? 'destination' : 'source',
    sign: sign ? ['notary'] : [],
    sbom: { formats: sbom ? ['cyclonedx'] : [] },
  };
  const source = { registry: REGISTRY, repositories: ['samples/**'] };
  const reference = elsewhere ? `${ELSEWHERE}/{repository}:{tag}` : `${REGISTRY}/staging/{repository}:{tag}`;
  const first = rule({
    ...common,
    source,
    destination: { reference },
    ...(gate && { verify: { signatures: [{ format: 'notary', trustStore: RELEASE.certificatePem }] } }),
  });
  const more = {
    none: [],
    mirror: [
      rule({
        ...common,
        name: 'mirror',
        source,
        sign: ['notary'],
        destination: { reference: `${REGISTRY}/mirror/{repository}` },
      }),
    ],
    onward: [
      rule({
        ...common,
        name: 'onward',
        source: elsewhere
          ? { registry: ELSEWHERE, repositories: ['**'] }
          : { registry: REGISTRY, repositories: ['staging/**'] },
        destination: { reference: `${REGISTRY}/production/{repository}:{tag}` },
      }),
    ],
    same: [rule({ ...common, name: 'same', source, destination: { reference } })],
  };
  return [first, ...more[second]];
}

/** What happens to the world, and to the app. `nth` is taken of those that there are. */
export type Happening =
  | { is: 'push'; image: number; repository: number; tag: number }
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
  /** Somebody asks for a promotion by a job. */
  | { is: 'ask'; repository: number; tag: number }
  /** PROMOTION_PAUSED is set, or lifted. */
  | { is: 'hold'; on: boolean }
  /** The destination loses the next referrer that is pushed. */
  | { is: 'forget'; repository: number };

/** Calls of ports at which it is worth while to let something happen. */
const MOMENTS = [
  'pushManifest',
  'store replacePromotion',
  'listReferrers',
  'markWaiting: store',
  'engine start',
  'queue send',
  'putIfAbsent',
] as const;

/** A happening, so many steps after the one before, and then when somebody is about to do `at`. */
export type Timed = Happening & { after: number; at?: (typeof MOMENTS)[number] };

export interface History {
  setting: Setting;
  happenings: Timed[];
  /** How often each event is delivered, in turn: 0 is never. */
  copies: number[];
  /** Which of the things that can happen next does: 0 is the one that has waited longest. */
  choices: number[];
}

const nth = fc.nat(7);
const one = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

type Kinds = {
  [K in Happening['is']]: { weight: number; unseen?: true; make: fc.Arbitrary<Happening & { is: K }> };
};

/** What happens, how often, and whether only the schedule can find out (the app is not told). */
function kindsOf(images: number): Kinds {
  const image = fc.nat(images - 1);
  const few = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constant(1));
  const [repository, tag] = images === 1 ? [fc.constant(0), fc.constant(0)] : [few, few];
  return {
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
    ask: { weight: 1, make: fc.record({ is: one('ask' as const), repository, tag }) },
    hold: { weight: 1, unseen: true, make: fc.record({ is: one('hold' as const), on: fc.boolean() }) },
    forget: { weight: 1, make: fc.record({ is: one('forget' as const), repository }) },
  };
}

const all = kindsOf(4);
const KINDS = Object.keys(all) as Happening['is'][];
/** Of these the app is told, so that all is well before the schedule looks. */
const SEEN = KINDS.filter((kind) => all[kind].unseen !== true);

/** @param inTurn how many steps in turn there are to one out of turn */
export function choicesOf(inTurn: number): fc.Arbitrary<number[]> {
  return fc.array(fc.oneof({ weight: inTurn, arbitrary: one(0) }, { weight: 1, arbitrary: fc.nat(40) }), {
    maxLength: 700,
    size: 'max',
  });
}

/**
 * Histories in which only these things happen.
 * @param options.lossy some events never arrive
 * @param options.images 4 as it comes; with 1, there is one repository and one tag
 */
export function historiesOf(
  only: readonly Happening['is'][],
  options: { given?: Partial<Setting>; lossy?: boolean; images?: number } = {},
): fc.Arbitrary<History> {
  const { given = {}, lossy = false, images = 4 } = options;
  const kinds = kindsOf(images);
  const happening = fc.oneof(...only.map((kind) => ({ weight: kinds[kind].weight, arbitrary: kinds[kind].make })));
  const at = fc.option(one(...MOMENTS), { nil: undefined });
  const timed = fc
    .tuple(happening, fc.oneof(fc.nat(10), fc.nat(120)), at)
    .map(([what, after, moment]): Timed => ({ ...what, after, ...(moment !== undefined && { at: moment }) }));
  const often = fc.oneof({ weight: 5, arbitrary: one(true) }, one(false));
  const fixed = <T>(value: T | undefined, otherwise: fc.Arbitrary<T>): fc.Arbitrary<T> =>
    value === undefined ? otherwise : one(value);
  return fc.record({
    setting: fc.record({
      gate: fixed(given.gate, fc.boolean()),
      sign: fixed(given.sign, often),
      sbom: fixed(given.sbom, often),
      elsewhere: fixed(given.elsewhere, fc.boolean()),
      second: fixed(
        given.second,
        fc.oneof(
          { weight: 4, arbitrary: one('none' as const) },
          one('mirror' as const, 'onward' as const, 'same' as const),
        ),
      ),
      tellsUntagged: fixed(given.tellsUntagged, often),
      attachesThere: fixed(
        given.attachesThere,
        often.map((usual) => !usual),
      ),
      spreads: fixed(
        given.spreads,
        often.map((usual) => !usual),
      ),
    }),
    happenings: fc.array(timed, { minLength: 1, maxLength: 14, size: 'max' }),
    copies: fc.array(lossy ? one(0, 1, 2) : one(1, 2, 3), { maxLength: 8, size: 'max' }),
    choices: fc.oneof(choicesOf(1), choicesOf(9)),
  });
}

/** Of all kinds: those in which the app is told of everything, and those in which it isn't. */
export const histories: fc.Arbitrary<History> = fc.oneof(
  { weight: 3, arbitrary: historiesOf(SEEN) },
  { weight: 2, arbitrary: historiesOf(KINDS) },
  { weight: 1, arbitrary: historiesOf(KINDS, { lossy: true }) },
);
