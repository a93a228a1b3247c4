import { InvocationContext } from '@azure/functions';
import { describe, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import { incrementGeneration } from '../../../src/rows/generation.js';
import type { Signer } from '../../../src/signing/index.js';
import { openJob } from '../../../src/operations/start-job.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { rule } from '../../support/rules.fixture.js';
import { breaking, runOut, type When } from '../../support/breaking.js';
import { pushArtifact, pushImage, pushMultiPlatform, pushSignature } from '../../support/images.js';
import { REGISTRY, SOURCE, newSigner, newWorld, openRun, type World } from '../../support/world.js';
import { endState } from '../../support/end-state.js';
import { register, type Registered } from '../../support/registered.js';
import { takesPieces } from './piecewise.js';
import { replay } from '../../support/replay.js';

// Whatever an activity has done when its host dies, or its result is lost: done again, all is in the end as if nothing had been.

const FULL = process.env.FULL === '1';
/** Of the places where an activity can be broken off, so many of each scenario are tried; in the full run all. */
const MOST_PLACES = FULL ? Infinity : 3;
const NOW_MS = Date.now();
const RELEASE = newSigner('release');

interface Scenario {
  prepare(): Promise<World>;
  begin(world: World): Promise<unknown>;
  /** Called when an activity has been done for good. */
  after?(world: World, activity: string): Promise<void>;
  /** The event that comes where one is waited for. */
  notifies?: boolean;
  /** Steps that take several calls. */
  severalCalls?: readonly string[];
}

const signed = new Map<string, Promise<Uint8Array>>();
/** Signs the same each time: two end states can be held against each other. */
function alike(signer: Signer): Signer {
  return {
    ...signer,
    sign(message) {
      // The app's key and somebody else's may sign the same.
      const by = Buffer.from(signer.certificates[0] ?? []).toString('base64');
      const name = `${by} ${Buffer.from(message).toString('latin1')}`;
      const made = signed.get(name) ?? signer.sign(message);
      signed.set(name, made);
      return made;
    },
  };
}

function fixedWorld(...rules: Parameters<typeof newWorld>): World {
  const world = newWorld(...rules);
  world.nowMs = NOW_MS;
  world.signer = world.signer && alike(world.signer);
  return world;
}

const sourceOf = (world: World) => world.registries.repository(REGISTRY, SOURCE.repository);

async function withIndex(world: World): Promise<World> {
  const { amd64 } = await pushMultiPlatform(sourceOf(world), SOURCE.tag);
  await pushArtifact(sourceOf(world), 'application/x-report', { subject: amd64 });
  return world;
}

async function withImage(world: World): Promise<World> {
  await pushImage(sourceOf(world), { tag: SOURCE.tag });
  return world;
}

async function job(world: World, message: Record<string, unknown>): Promise<void> {
  const { id } = await openJob(world, parseJob({ id: 'job-1', ...message }, { messageId: 'm1' }), { kind: 'job' });
  await world.engine.start('runJob', id, { runId: id });
}

const ELSEWHERE = 'other.azurecr.io';
const COPY_JOB = {
  operation: 'copy',
  source: `${REGISTRY}/${SOURCE.repository}:${SOURCE.tag}`,
  destination: `${REGISTRY}/elsewhere/app:v1`,
};

/** A call of a long step does next to nothing, and blobs are moved in pieces. */
function bounded(world: World): World {
  world.callBounds = { ...world.callBounds, requests: 2, largeBlobBytes: 100 };
  return world;
}

const SCENARIOS: Record<string, Scenario> = {
  'an index and what refers to it': { prepare: () => withIndex(fixedWorld()), begin: (world) => openRun(world) },
  'attached at the destination': {
    prepare: () => withImage(fixedWorld(rule({ attachTo: 'destination' }))),
    begin: (world) => openRun(world),
  },
  'a gate that opens': {
    prepare: () =>
      withImage(
        fixedWorld(rule({ verify: { signatures: [{ format: 'notary', trustStore: RELEASE.certificatePem }] } })),
      ),
    begin: (world) => openRun(world),
    notifies: true,
    async after(world, activity) {
      if (activity !== 'markWaiting') return;
      const source = sourceOf(world);
      const image = await source.resolve(SOURCE.tag);
      await pushSignature(source, image, alike(RELEASE.signer), new Date(NOW_MS));
      const [first] = world.ruleList;
      if (first !== undefined) await incrementGeneration(world, first, SOURCE, { kind: 'push' });
    },
  },
  'a tag that moves on': {
    prepare: () => withImage(fixedWorld()),
    begin: (world) => openRun(world),
    async after(world, activity) {
      const source = sourceOf(world);
      if (activity !== 'verifyArrival' || source.tags.get('moved') !== undefined) return;
      const other = await pushImage(source, { tag: 'moved', content: 'two' });
      source.tags.set(SOURCE.tag, other.digest);
      const [first] = world.ruleList;
      if (first !== undefined) await incrementGeneration(world, first, SOURCE, { kind: 'push' });
    },
  },
  'a graph that takes several calls of each step': {
    prepare: () => withIndex(bounded(fixedWorld())),
    begin: (world) => openRun(world),
    severalCalls: ['observe', 'attach', 'copy', 'verifyArrival'],
  },
  'attached at the destination, in several calls': {
    prepare: () => withIndex(bounded(fixedWorld(rule({ attachTo: 'destination' })))),
    begin: (world) => openRun(world),
    severalCalls: ['observe', 'attach', 'copy', 'verifyArrival'],
  },
  'a copy job of several calls': {
    prepare: () => withIndex(bounded(fixedWorld())),
    begin: (world) => job(world, COPY_JOB),
    severalCalls: ['copy', 'verifyArrival'],
  },
  'large blobs, moved in pieces to another registry': {
    async prepare() {
      const world = fixedWorld(rule({ destination: { reference: `${ELSEWHERE}/{repository}:{tag}` } }));
      world.callBounds = { ...world.callBounds, largeBlobBytes: 100 };
      takesPieces(world.registries.repository(ELSEWHERE, SOURCE.repository));
      return withIndex(world);
    },
    begin: (world) => openRun(world),
    severalCalls: ['copy'],
  },
  'a copy job': {
    prepare: () => withIndex(fixedWorld()),
    begin: (world) => job(world, COPY_JOB),
  },
  'a promote job': {
    prepare: () => withImage(fixedWorld()),
    begin: (world) => job(world, { operation: 'promote', source: `${REGISTRY}/${SOURCE.repository}:${SOURCE.tag}` }),
  },
};

/** What is done to the nth activity before it is done for good. */
type Harm = 'nothing' | 'done once before' | { activity: number; call: number; when: When };

const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });

async function play(
  scenario: Scenario,
  harm: Harm,
): Promise<{ state: unknown; calls: number[]; steps: string[]; outputs: unknown[] }> {
  const world = await scenario.prepare();
  const whole = register(world);
  const calls: number[] = [];
  const steps: string[] = [];
  const outputs: unknown[] = [];
  let activities = 0;
  let played = 0;

  const done = async (name: string, input: unknown): Promise<unknown> => {
    const index = activities++;
    steps.push(name);
    const run = (app: Registered): Promise<unknown> => {
      const handler = app.activities.get(name)?.handler;
      if (handler === undefined) throw new Error(`no activity ${name}`);
      return handler(structuredClone(input), context);
    };
    if (harm === 'nothing') {
      const counted = breaking(world, Infinity, 'before');
      const answer = await run(register(counted.ports));
      calls[index] = counted.calls();
      return answer;
    }
    if (harm === 'done once before') await run(whole);
    else if (harm.activity === index) {
      // Whatever it answers is lost.
      await run(register(breaking(world, harm.call, harm.when).ports)).catch(() => undefined);
      runOut(world);
    }
    return run(whole);
  };
  const playOpen = async (): Promise<void> => {
    for (let start = world.engine.starts[played]; start !== undefined; start = world.engine.starts[played]) {
      const { orchestration, id, input } = start;
      played += 1;
      world.engine.setState(id, 'running');
      const { output, error } = await replay(whole.orchestrations.get(orchestration) as OrchestrationHandler, {
        input,
        twiceEvery: 1_000,
        ...(scenario.notifies === true && { event: ([name]: readonly string[]) => name }),
        activities: Object.fromEntries(
          [...whole.activities.keys()].map((name) => [
            name,
            async (given: unknown) => {
              // A job waits for its promotions.
              if (name === 'awaitPromotions') await playOpen();
              const answer = await done(name, given);
              await scenario.after?.(world, name);
              return answer;
            },
          ]),
        ),
      });
      world.engine.setState(id, 'ended');
      outputs.push(error ?? output);
    }
  };
  await scenario.begin(world);
  await playOpen();
  return { state: await endState(world), calls, steps, outputs };
}

describe('each activity is done twice and its first result is lost', () => {
  test.each(Object.keys(SCENARIOS))('after the whole activity (%s)', async (name) => {
    const scenario = SCENARIOS[name];
    if (scenario === undefined) throw new Error(name);
    const plain = await play(scenario, 'nothing');
    const twice = await play(scenario, 'done once before');
    expect(twice.state).toEqual(plain.state);
    expect(plain.outputs.filter((output) => typeof output !== 'object')).toEqual([]);
    for (const step of scenario.severalCalls ?? [])
      expect(plain.steps.filter((each) => each === step).length).toBeGreaterThan(2);
  });

  test.each(Object.keys(SCENARIOS))(
    '%s: broken off at each call of a port',
    async (name) => {
      const scenario = SCENARIOS[name];
      if (scenario === undefined) throw new Error(name);
      const plain = await play(scenario, 'nothing');
      const places: Harm[] = plain.calls.flatMap((count, activity) =>
        Array.from({ length: count }, (_, call) =>
          (['before', 'after'] as const).map((when) => ({ activity, call: call + 1, when })),
        ).flat(),
      );
      const stride = Math.max(1, Math.ceil(places.length / MOST_PLACES));
      const tried = places.filter((_, index) => index % stride === 0);
      for (const harm of tried) {
        const broken = await play(scenario, harm);
        expect({ harm, ...(broken.state as object) }).toEqual({ harm, ...(plain.state as object) });
      }
      process.stdout.write(`${name}: broken off at ${tried.length} of ${places.length} places\n`);
    },
    // FULL breaks off at every place: hundreds of plays, on a machine that may be busy.
    3_600_000,
  );
});
