import { rule } from '../../support/rules.fixture.js';
import type { Rule } from '../../../src/rules/rule.js';
import { RELEASE, REPORT } from './images.js';

export const REGISTRY = 'r.azurecr.io';
/** Another registry, for rules that lead out of the first. */
export const ELSEWHERE = 's.azurecr.io';
export const REPOSITORIES = ['samples/a', 'samples/b'] as const;
export const TAGS = ['v1', 'v2'] as const;

/** What rules there are, and what the world is like. */
export interface Setting {
  gate: boolean;
  sign: boolean;
  sbom: boolean;
  /** The destination is in another registry. */
  elsewhere: boolean;
  /** A second rule: on the same source to another place, from staging on, or to the very same tags. */
  second: 'none' | 'mirror' | 'onward' | 'same';
  /** Whether the registry reports manifests that are pushed without a tag. */
  tellsUntagged: boolean;
  /** The first rule attaches SBOMs and signatures at its destination; where it leads to another rule's source or tags, at the source. */
  attachesThere?: boolean;
  /** A copy is spread over several activities, and so is each look at a graph. */
  spreads?: boolean;
  /** Rows of a page of any list; as many as are asked for by default. */
  pageRows?: number | undefined;
  /** Images stood at the source before the app was there: no event reported them. */
  before?: boolean;
  /** Two hosts do the work in turn, and the clock of the second is so many seconds ahead, or behind. */
  apartSeconds?: number;
  /** `existing: ignore`. */
  ignores?: boolean;
  /** Of the first rule: `mode: observe`; it takes v1 only; it leads to another place; it is not there. */
  observes?: boolean;
  narrow?: boolean;
  moves?: boolean;
  gone?: boolean;
  /** Of all rules: reports don't travel; a deadline of a minute; pushes are the only trigger, or the schedule is. */
  excludes?: boolean;
  brief?: boolean;
  unscheduled?: boolean;
  unpushed?: boolean;
}

/** One rule that signs, in one registry. */
export const SIMPLE: Setting = {
  gate: false,
  sign: true,
  sbom: false,
  elsewhere: false,
  second: 'none',
  tellsUntagged: true,
};

/** What somebody changes about the rules while all goes on: turned on, or off again. */
export const CHANGES = [
  'gate',
  'sign',
  'sbom',
  'elsewhere',
  'excludes',
  'brief',
  'unscheduled',
  'unpushed',
  'attachesThere',
  'ignores',
  'observes',
  'narrow',
  'moves',
  'gone',
  'mirror',
] as const;
export type Change = (typeof CHANGES)[number];

export function changed(setting: Setting, change: Change): Setting {
  if (change !== 'mirror') return { ...setting, [change]: setting[change] !== true };
  const { second } = setting;
  return { ...setting, second: second === 'none' ? 'mirror' : second === 'mirror' ? 'none' : second };
}

/** The first rule, whether or not it is there. */
export function firstRule(setting: Setting): Rule {
  const { gate, elsewhere, second, attachesThere = false, observes = false, narrow = false, moves = false } = setting;
  const place = moves ? 'moved' : 'staging';
  return rule({
    ...common(setting),
    attachTo: attachesThere && (second === 'none' || second === 'mirror') ? 'destination' : 'source',
    mode: observes ? 'observe' : 'enforce',
    source: { ...SOURCE, tags: [narrow ? 'v1' : '*'] },
    destination: {
      reference: elsewhere
        ? `${ELSEWHERE}/${moves ? 'moved/' : ''}{repository}:{tag}`
        : `${REGISTRY}/${place}/{repository}:{tag}`,
    },
    ...(gate && { verify: { signatures: [{ format: 'notary', trustStore: RELEASE.certificatePem }] } }),
  });
}

const SOURCE = { registry: REGISTRY, repositories: ['samples/**'] };

function common(setting: Setting): Record<string, unknown> {
  const { sign, sbom, ignores = false, excludes = false, brief = false } = setting;
  const { unscheduled = false, unpushed = false } = setting;
  return {
    referrers: { excludeArtifactTypes: excludes ? [REPORT] : [] },
    deadline: brief ? '1m' : '24h',
    triggers: unscheduled ? ['push'] : unpushed ? ['schedule'] : ['push', 'schedule'],
    existing: ignores ? 'ignore' : 'promote',
    attachTo: 'source',
    sign: sign ? ['notary'] : [],
    sbom: { formats: sbom ? ['cyclonedx'] : [] },
  };
}

export function rulesOf(setting: Setting): Rule[] {
  const { elsewhere, second, gone = false } = setting;
  const first = firstRule(setting);
  const more = {
    none: [],
    mirror: [
      rule({
        ...common(setting),
        name: 'mirror',
        source: SOURCE,
        sign: ['notary'],
        destination: { reference: `${REGISTRY}/mirror/{repository}` },
      }),
    ],
    onward: [
      rule({
        ...common(setting),
        name: 'onward',
        source: elsewhere
          ? { registry: ELSEWHERE, repositories: ['**'] }
          : { registry: REGISTRY, repositories: ['staging/**'] },
        destination: { reference: `${REGISTRY}/production/{repository}:{tag}` },
      }),
    ],
    same: [rule({ ...common(setting), name: 'same', source: SOURCE, destination: first.destination })],
  };
  return [...(gone ? [] : [first]), ...more[second]];
}
