import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import { toFunction } from '../../../../local/host/app.js';
import type { App } from '../../../../local/host/app.js';
import { createChaos, parseLies } from '../../../../local/host/chaos.js';
import type { FunctionCallback } from '../../../../local/host/core.js';
import { createInvoker } from '../../../../local/host/invoke.js';

const binding = (type: string, direction = 'in') => ({ type, direction });
const make = (bindings: Record<string, ReturnType<typeof binding>>, retryOptions?: unknown) =>
  toFunction({ name: 'f', bindings, ...(retryOptions !== undefined && { retryOptions }) }, () => undefined);

describe('functions of the app', () => {
  test('are accepted if this host supports them', () => {
    const fn = make({
      trigger: binding('httpTrigger'),
      client: binding('durableClient'),
      $return: binding('http', 'out'),
    });
    expect(fn).toMatchObject({ name: 'f', triggerName: 'trigger', trigger: { type: 'httpTrigger' } });
  });

  test.each([
    ['a trigger', () => make({ trigger: binding('entityTrigger') })],
    ['an input', () => make({ trigger: binding('httpTrigger'), blob: binding('blob') })],
    ['an output', () => make({ trigger: binding('httpTrigger'), queue: binding('queue', 'out') })],
    ['no trigger', () => make({})],
    ['retry', () => make({ trigger: binding('timerTrigger') }, { maxRetryCount: 1 })],
  ])('are refused by name if not supported: %s', (_what, register) => {
    expect(register).toThrow(expect.objectContaining({ code: 'LOCAL_HOST_UNSUPPORTED' }));
  });
});

/** An app with one function. */
function appOf(type: string, callback: FunctionCallback): App {
  const fn = { ...make({ trigger: binding(type) }), callback };
  return {
    functions: [fn],
    runHooks: async () => undefined,
    model: {
      name: 'fake',
      version: '0',
      getCapabilities: async (capabilities) => capabilities,
      getInvocationModel: () => ({
        getArguments: async () => ({ context: {}, inputs: [] }),
        invokeFunction: async (_context, inputs, callback) => await callback(...inputs),
        getResponse: async () => ({}),
      }),
    },
  };
}

/** Calls the function of an app whose functionTimeout is `timeoutMs`. */
async function invoke(app: App, timeoutMs: number, chaos = createChaos(undefined)): Promise<unknown> {
  const [fn] = app.functions;
  if (fn === undefined) throw new Error('no function');
  return await createInvoker(app, () => '{}', timeoutMs, chaos).invoke(fn, { string: '' });
}

test('a function that runs longer than functionTimeout fails', async () => {
  const app = appOf('activityTrigger', async () => await new Promise(() => undefined));
  await expect(invoke(app, 20)).rejects.toMatchObject({ code: 'FUNCTION_TIMEOUT' });
});

describe('an invocation that hangs', () => {
  beforeEach(() => {
    jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  });

  test.each(['queueTrigger', 'activityTrigger', 'orchestrationTrigger'])(
    'of a %s ends at functionTimeout; whether its function ran depends on the seed',
    async (type) => {
      const ran: number[] = [];
      for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const app = appOf(type, () => ran.push(seed));
        const chaos = createChaos(seed, parseLies('hang@1'));
        const startedMs = performance.now();
        await expect(invoke(app, 60, chaos)).rejects.toMatchObject({ code: 'FUNCTION_TIMEOUT' });
        expect(performance.now() - startedMs).toBeGreaterThan(55);
        // Only the first one hangs: the message that comes back is handled.
        await invoke(
          appOf(type, () => undefined),
          60,
          chaos,
        );
      }
      expect(ran.length).toBeGreaterThan(0);
      expect(ran.length).toBeLessThan(8);
    },
  );

  test.each(['httpTrigger', 'timerTrigger', 'eventGridTrigger'])('never concerns a %s', async (type) => {
    let ran = false;
    await invoke(
      appOf(type, () => (ran = true)),
      60,
      createChaos(1, parseLies('hang@1')),
    );
    expect(ran).toBe(true);
  });
});
