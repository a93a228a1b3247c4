import { describe, expect, test } from '@jest/globals';
import { fingerprint, promotionId } from '../../../src/rules/rule.js';
import { explain, type ExplainInput } from '../../../src/promotions/explain.js';
import type { Check } from '../../../src/promotions/explanation.js';
import { explanationText } from '../../../src/promotions/explanation-text.js';
import type { PromotionRow, PromotionState } from '../../../src/rows/promotion-row.js';
import type { StepProgress } from '../../../src/rows/step-progress.js';
import { rule } from '../../support/rules.fixture.js';

const source = { registry: 'r.azurecr.io', repository: 'samples/app', tag: 'v1' };
const SOURCE = 'r.azurecr.io/samples/app:v1';
const DESTINATION = 'r.azurecr.io/staging/samples/app:v1';
const AT = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-01T01:00:00.000Z';

function row(changes: Partial<PromotionRow> = {}): PromotionRow {
  return {
    id: promotionId('staging', source),
    rule: 'staging',
    source,
    destination: DESTINATION,
    generation: 1,
    incrementedAt: AT,
    observedGeneration: 1,
    state: 'in_sync',
    runId: 'r1',
    runOpen: false,
    runBegun: true,
    failures: 0,
    last: { outcome: 'promoted', digest: 'sha256:a', runId: 'r1', finishedAt: LATER, fingerprint: fingerprint(rule()) },
    ...changes,
  };
}
const ended = (last: Partial<NonNullable<PromotionRow['last']>>, changes: Partial<PromotionRow> = {}): PromotionRow => {
  const { last: before } = row();
  if (before === undefined) throw new Error('it has one');
  return row({ ...changes, last: { ...before, ...last } });
};
const step = (name: string, changes: Partial<StepProgress> = {}): StepProgress => ({
  runId: 'r1',
  step: name,
  state: 'working',
  text: '',
  startedAt: AT,
  updatedAt: AT,
  ...changes,
});

const GATED = rule({ verify: { signatures: [{ format: 'notary', trustStore: 'x' }] } });
/** What the registries say: a digest, or null for a tag that is not there. */
const seen = (...looks: [reference: string, digest: string | null][]): Map<string, Check> =>
  new Map([
    ...IN_SYNC,
    ...looks.map(([reference, digest]): [string, Check] => [
      reference,
      digest === null ? { state: 'missing' } : { state: 'there', digest },
    ]),
  ]);
const IN_SYNC: [string, Check][] = [SOURCE, DESTINATION].map((reference) => [
  reference,
  { state: 'there', digest: 'sha256:a' },
]);
const DOWN: Check = { state: 'unknown', since: LATER, code: 'CONNECT_FAILED', reason: 'nobody answers' };
const ID = promotionId('staging', source);

const asked = (changes: Partial<ExplainInput> = {}): ExplainInput => ({
  name: source,
  rules: [rule()],
  paused: false,
  rows: [],
  steps: new Map(),
  ignored: [],
  seen: new Map(IN_SYNC),
  evidence: new Map([[ID, { state: 'there' }]]),
  ...changes,
});

test.each<[string, Partial<ExplainInput>, PromotionState | undefined, RegExp, boolean]>([
  ['in sync', { rows: [row()] }, 'in_sync', /staging\/samples\/app:v1 is sha256:a/, true],
  [
    'in sync, as both registries say',
    {
      rows: [row()],
      seen: seen([SOURCE, 'sha256:a'], [DESTINATION, 'sha256:a']),
    },
    'in_sync',
    /is sha256:a/,
    true,
  ],
  [
    'promoted, and the rule demands evidence that was not asked for',
    { rows: [row()], rules: [GATED] },
    'waiting',
    /is sha256:a; the evidence .* the next schedule run checks it/,
    false,
  ],
  [
    'promoted, with the evidence that the rule demands',
    {
      rows: [
        ended({ fingerprint: fingerprint(GATED) }, { gate: { digest: 'sha256:a', fingerprint: fingerprint(GATED) } }),
      ],
      rules: [GATED],
    },
    'in_sync',
    /is sha256:a/,
    true,
  ],
  [
    'promoted to where the rule led before',
    { rows: [row()], rules: [rule({ destination: { reference: 'r.azurecr.io/prod/{repository}:{tag}' } })] },
    'waiting',
    /the rule now has another destination: the next schedule run promotes it there/,
    false,
  ],
  [
    'promoted, and the rule was edited since: it demands an SBOM, say',
    { rows: [row()], rules: [rule({ sbom: { formats: [] } })] },
    'waiting',
    /the rule was edited since: the next schedule run checks it/,
    false,
  ],
  [
    'promoted by a rule that pushes trigger, whose deadline was edited since',
    { rows: [row()], rules: [rule({ triggers: ['push'], deadline: '7d' })] },
    'in_sync',
    /is sha256:a/,
    true,
  ],
  [
    'moved at the source, and no push event or schedule run has seen it yet',
    { rows: [row()], seen: seen([SOURCE, 'sha256:b']) },
    'waiting',
    /app:v1 is now sha256:b/,
    false,
  ],
  [
    'moved at the destination',
    {
      rows: [row()],
      seen: seen([SOURCE, 'sha256:a'], [DESTINATION, null]),
    },
    'waiting',
    /has been deleted: the schedule promotes it again/,
    false,
  ],
  ['gone at the source', { rows: [row()], seen: seen([SOURCE, null]) }, 'waiting', /has been deleted/, false],
  [
    'working, at a step',
    {
      rows: [row({ runOpen: true, state: 'working' })],
      steps: new Map([
        ['r1', [step('observe', { state: 'done' }), step('attachSbom linux/amd64', { text: 'layer 2' })]],
      ]),
    },
    'working',
    /attachSbom linux\/amd64 working: layer 2; until it finishes/,
    false,
  ],
  [
    'working, and backing off for a transient error',
    {
      rows: [row({ runOpen: true, state: 'working' })],
      steps: new Map([
        [
          'r1',
          [
            step('observe', {
              state: 'waiting',
              text: 'CONNECT_FAILED: down',
              waitsFor: { code: 'CONNECT_FAILED', tries: 7, since: AT, nextAt: LATER },
            }),
          ],
        ],
      ]),
    },
    'working',
    /observe waiting: CONNECT_FAILED: down; tried 7 times, next try at about 2026-01-01T01:00/,
    false,
  ],
  ['about to begin', { rows: [row({ runOpen: true, state: 'working' })] }, 'working', /about to begin/, false],
  [
    'waiting for evidence',
    {
      rows: [row({ runOpen: true, state: 'waiting', waitingFor: 'evidence-1' })],
      steps: new Map([['r1', [step('markWaiting', { state: 'done', text: 'no notary signature by * yet' })]]]),
    },
    'waiting',
    /no notary signature by \* yet/,
    false,
  ],
  ['paused', { paused: true, rows: [row({ generation: 2 })] }, 'waiting', /PROMOTION_PAUSED/, false],
  [
    'over the limit of a tick',
    { rows: [row({ generation: 2 })] },
    'waiting',
    /the next schedule tick starts it/,
    false,
  ],
  [
    'refused',
    { rows: [ended({ outcome: 'refused', code: 'DESTINATION_TAKEN', reason: 'rule a has it', remedy: 'Ask a.' })] },
    'refused',
    /DESTINATION_TAKEN: rule a has it/,
    false,
  ],
  [
    'failed, and when it is tried again',
    {
      rows: [
        ended(
          { outcome: 'failed', code: 'DENIED', reason: 'no' },
          { failures: 2, retryAt: '2026-01-01T01:10:00.000Z' },
        ),
      ],
    },
    'failed',
    /2 times in a row, DENIED: no; the schedule tries again after 2026-01-01T01:10:00.000Z/,
    false,
  ],
  [
    'failed, and gone at the source',
    { rows: [ended({ outcome: 'failed', code: 'SOURCE_GONE', reason: 'it is gone' }, { failures: 1 })] },
    'failed',
    /failed once, SOURCE_GONE: it is gone; the next push tries again/,
    false,
  ],
  [
    'observed',
    { rows: [ended({ outcome: 'observed', reason: 'it is not there' })] },
    'observed',
    /it is not there/,
    false,
  ],
  ['cancelled', { rows: [ended({ outcome: 'cancelled' })] }, 'cancelled', /cancelled/, false],
  [
    'nothing to promote',
    { rows: [ended({ outcome: 'unchanged', code: 'IS_REFERRER', reason: 'it refers to b' })] },
    'in_sync',
    /IS_REFERRER: it refers to b/,
    false,
  ],
  ['not seen yet', {}, undefined, /no push event or schedule run has seen it yet; .*existing: ignore/, false],
  ['not at the source', { seen: seen([SOURCE, null]) }, undefined, /it is not at the source/, false],
  [
    'not seen, and not triggered by pushes',
    { rules: [rule({ triggers: ['schedule'] })] },
    undefined,
    /pushes do not trigger the rule/,
    false,
  ],
  [
    'its rule is gone',
    { rules: [], rows: [row()] },
    'in_sync',
    /the rule staging no longer exists; .*is sha256:a/,
    false,
  ],
])('is explained: %s', (_what, changes, state, text, promoted) => {
  const explanation = explain(asked(changes));
  expect(explanation.promotions).toMatchObject([{ rule: 'staging', destination: DESTINATION, source: SOURCE }]);
  expect(explanation.promotions[0]).toMatchObject(state === undefined ? {} : { state, promotionId: ID });
  if (state === undefined) {
    expect(Object.keys(explanation.promotions[0] ?? {})).not.toContain('promotionId');
    expect(explanation.promotions[0]?.state).toBeUndefined();
  }
  expect(explanation.promotions[0]?.text).toMatch(text);
  expect(explanation.promoted).toBe(promoted);
  expect(explanation.nearest).toBeUndefined();
  const [line, why] = explanationText(explanation).split('\n');
  expect(line).toContain(`${SOURCE} -> ${DESTINATION} (rule staging): ${state ?? 'not started'}`);
  expect(why?.trim()).toBe(explanation.promotions[0]?.text);
});

test('a rule that no longer matches is named, with the last state', () => {
  const narrowed = rule({ source: { ...rule().source, tags: ['w*'] } });
  const { promotions, promoted } = explain(asked({ rules: [narrowed], rows: [row()] }));
  expect(promoted).toBe(false);
  expect(promotions).toMatchObject([{ state: 'in_sync', text: expect.stringContaining('tag v1 is not in w*') }]);
});

test('an explanation has no `since` if the tag changed, or if no rule matches any more', () => {
  const since = '2025-12-24T00:00:00.000Z';
  const moved = explain(asked({ rows: [row({ since })], seen: seen([SOURCE, 'sha256:b']) }));
  expect(explanationText(moved)).toBe(`${SOURCE} -> ${DESTINATION} (rule staging): waiting
  ${SOURCE} is now sha256:b, and ${DESTINATION} got sha256:a at ${since}: the push event or the schedule starts the next run
  promotion ${ID}, run r1
`);
  const unwanted = explain(asked({ rules: [], rows: [row({ since })] }));
  expect(unwanted.promotions[0]?.since).toBeUndefined();
  expect(unwanted.promotions[0]?.text).toContain(`its last state (${LATER})`);
  expect(explain(asked({ rows: [row({ since })] })).promotions[0]?.since).toBe(since);
});

test('without a matching rule, the answer has the nearest rule, its first failed condition, and ignored events', () => {
  const name = { ...source, tag: 'latest' };
  const ignored = [
    { at: AT, reference: 'r.azurecr.io/samples/app:latest', reason: 'rule staging: tag latest is not in v*' },
  ];
  const narrowed = rule({ source: { ...rule().source, tags: ['v*'] } });
  const explanation = explain(asked({ name, ignored, rules: [narrowed] }));
  expect(explanation).toEqual({
    reference: 'r.azurecr.io/samples/app:latest',
    promoted: false,
    promotions: [],
    nearest: 'rule staging: tag latest is not in v*',
    ignored,
  });
  expect(explanationText(explanation)).toBe(
    `r.azurecr.io/samples/app:latest: no rule matches it
  rule staging: tag latest is not in v*
  an event was ignored at ${AT}: rule staging: tag latest is not in v*
`,
  );
});

test('repeated ignored events are one line, with a count', () => {
  const ignored = [{ at: LATER, times: 500, firstAt: AT, reference: SOURCE, reason: 'there are no rules' }];
  expect(explanationText(explain(asked({ rules: [], ignored })))).toContain(
    `  an event was ignored at ${LATER}, one of 500 since ${AT}: there are no rules\n`,
  );
});

test('with two rules, a tag is promoted only if both have promoted it', () => {
  const other = rule({ name: 'other', destination: { reference: 's.azurecr.io/{repository}:{tag}' } });
  const two = asked({ rules: [rule(), other], rows: [row()] });
  expect(explain(two)).toMatchObject({
    promoted: false,
    promotions: [{ state: 'in_sync' }, { destination: 's.azurecr.io/samples/app:v1' }],
  });
});

test('a destination is explained', () => {
  const name = { registry: 'r.azurecr.io', repository: 'staging/samples/app', tag: 'v1' };
  expect(explain(asked({ name, rows: [row()] }))).toMatchObject({
    promoted: true,
    promotions: [{ source: SOURCE, destination: DESTINATION, state: 'in_sync' }],
  });
});

test('a name without a valid destination is refused', () => {
  const rules = [rule({ destination: { reference: 'r.azurecr.io/{tag}/x:{tag}' } })];
  const name = { ...source, tag: 'V1' };
  const wide = rules.map((each) => ({ ...each, source: { ...each.source, tags: ['*'] } }));
  expect(explain(asked({ rules: wide, name })).promotions).toMatchObject([
    { state: 'refused', code: 'REFERENCE_INVALID' },
  ]);
});

describe('a failed check is unknown', () => {
  const sourceDown = new Map<string, Check>([...IN_SYNC, [SOURCE, DOWN]]);
  const destinationDown = new Map<string, Check>([...IN_SYNC, [DESTINATION, DOWN]]);
  const both = new Map<string, Check>([
    [SOURCE, DOWN],
    [DESTINATION, DOWN],
  ]);
  const evidence = new Map<string, Check>([[ID, DOWN]]);

  test.each<[string, Partial<ExplainInput>, string[]]>([
    ['the source', { seen: sourceDown }, ['the source r.azurecr.io/samples/app:v1']],
    ['the destination', { seen: destinationDown }, ['the destination r.azurecr.io/staging/samples/app:v1']],
    [
      'both',
      { seen: both },
      ['the source r.azurecr.io/samples/app:v1', 'the destination r.azurecr.io/staging/samples/app:v1'],
    ],
    ['the evidence', { evidence }, ['the evidence at r.azurecr.io/staging/samples/app:v1']],
    [
      'all three',
      { seen: both, evidence },
      [
        'the source r.azurecr.io/samples/app:v1',
        'the destination r.azurecr.io/staging/samples/app:v1',
        'the evidence at r.azurecr.io/staging/samples/app:v1',
      ],
    ],
    [
      'what was never asked',
      { seen: new Map() },
      ['the source r.azurecr.io/samples/app:v1', 'the destination r.azurecr.io/staging/samples/app:v1'],
    ],
  ])('%s: it is not said to be in sync', (_what, changes, unknown) => {
    const explanation = explain(asked({ rows: [row()], ...changes }));
    expect(explanation.promoted).toBeNull();
    expect(explanation.promotions).toMatchObject([
      { state: 'in_sync', code: expect.any(String), reason: expect.any(String), remedy: expect.any(String) },
    ]);
    const text = explanationText(explanation);
    for (const part of unknown) expect(text).toContain(`could not check ${part}`);
    expect(text.match(/could not check /g)).toHaveLength(unknown.length);
  });

  test('a known difference counts, even if another check is unknown', () => {
    const seenMoved = new Map<string, Check>([
      [SOURCE, { state: 'there', digest: 'sha256:b' }],
      [DESTINATION, DOWN],
    ]);
    expect(explain(asked({ rows: [row()], seen: seenMoved }))).toMatchObject({
      promoted: false,
      promotions: [{ state: 'waiting', checks: { destination: { state: 'unknown' } } }],
    });
    const gone = new Map<string, Check>([
      [SOURCE, DOWN],
      [DESTINATION, { state: 'missing' }],
    ]);
    expect(explain(asked({ rows: [row()], seen: gone }))).toMatchObject({
      promoted: false,
      promotions: [{ state: 'waiting' }],
    });
    const unsigned = new Map<string, Check>([[ID, { state: 'missing' }]]);
    expect(explain(asked({ rows: [row()], evidence: unsigned }))).toMatchObject({
      promoted: false,
      promotions: [{ state: 'waiting', text: expect.stringContaining('its signature is missing') }],
    });
  });

  test('with two rules, one that is certainly not promoted makes the answer certain', () => {
    const other = rule({ name: 'other', destination: { reference: 's.azurecr.io/{repository}:{tag}' } });
    expect(explain(asked({ rules: [rule(), other], rows: [row()], seen: both })).promoted).toBe(false);
  });

  test('a promotion that was not seen yet names its unknown checks', () => {
    const { promoted, promotions } = explain(asked({ seen: both }));
    expect(promoted).toBe(false);
    expect(promotions).toMatchObject([
      { text: expect.stringContaining('whether it is at the source could not be checked') },
    ]);
  });

  test('an unknown check has the time of the open run’s first failure', () => {
    const waitsFor = { code: 'CONNECT_FAILED', tries: 7, since: AT, nextAt: LATER };
    const open = asked({
      rows: [row({ runOpen: true, state: 'working' })],
      steps: new Map([['r1', [step('observe', { state: 'waiting', waitsFor })]]]),
      seen: both,
    });
    const text = explanationText(explain(open));
    expect(text).toContain(`could not check the source ${SOURCE} since ${AT}: CONNECT_FAILED: nobody answers`);
    expect(explanationText(explain(asked({ rows: [row()], seen: both })))).toContain(`: in_sync since ${LATER}\n`);
  });
});
