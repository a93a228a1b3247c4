import { describe, expect, test } from '@jest/globals';
import { toFunction } from '../../../../local/host/app.js';
import type { App } from '../../../../local/host/app.js';
import type { FunctionCallback } from '../../../../local/host/core.js';
import { createInvoker } from '../../../../local/host/invoke.js';

const binding = (type: string, direction = 'in') => ({ type, direction });
const make = (bindings: Record<string, ReturnType<typeof binding>>, retryOptions?: unknown) =>
  toFunction({ name: 'f', bindings, ...(retryOptions !== undefined && { retryOptions }) }, () => undefined);

describe('what the app registers', () => {
  test('is taken where this host does it', () => {
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
  ])('is refused by name: %s', (_what, register) => {
    expect(register).toThrow(expect.objectContaining({ code: 'LOCAL_HOST_UNSUPPORTED' }));
  });
});

test('a function that runs longer than functionTimeout fails', async () => {
  const fn = {
    ...make({ trigger: binding('activityTrigger') }),
    callback: (async () => await new Promise(() => undefined)) as FunctionCallback,
  };
  const app: App = {
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
  const invoker = createInvoker(app, () => '{}', 20);
  await expect(invoker.invoke(fn, { string: '' })).rejects.toMatchObject({ code: 'FUNCTION_TIMEOUT' });
});
