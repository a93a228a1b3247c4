import { randomUUID } from 'node:crypto';
import { PromoterError } from '../../src/oci/index.js';
import type { App, AppFunction } from './app.js';
import type { Chaos } from './chaos.js';
import type { TypedData } from './core.js';
import { log } from './log.js';
import type { LogLevel } from './log.js';

interface InvocationResult {
  /** What the function returned, unchanged. */
  raw: unknown;
  /** The same in the worker's form. */
  returnValue: TypedData | null | undefined;
}

/** Calls functions of the app as Microsoft's worker does. */
export interface Invoker {
  /**
   * @param trigger the trigger's data
   * @param metadata values that are not strings are passed as `{json}`
   * @throws what the function throws; PromoterError `FUNCTION_TIMEOUT` after host.json's functionTimeout
   */
  invoke(fn: AppFunction, trigger: TypedData, metadata?: Record<string, TypedData>): Promise<InvocationResult>;
}

/** Triggers whose invocations were seen to hang in Microsoft's host. */
const HANGING = new Set(['queueTrigger', 'activityTrigger', 'orchestrationTrigger']);

/** @param clientInput JSON of a durable client's input binding @param timeoutMs of one call; 0: no limit */
export function createInvoker(app: App, clientInput: () => string, timeoutMs: number, chaos: Chaos): Invoker {
  async function call(fn: AppFunction, trigger: TypedData, metadata: Record<string, TypedData>) {
    const invocationId = randomUUID();
    const inputData = [{ name: fn.triggerName, data: trigger }];
    for (const [name, binding] of Object.entries(fn.metadata.bindings)) {
      if (binding.type === 'durableClient') {
        inputData.push({ name, data: { string: clientInput() } });
      }
    }
    const model = app.model.getInvocationModel({
      invocationId,
      request: { invocationId, inputData, triggerMetadata: metadata },
      metadata: fn.metadata,
      state: undefined,
      log: (level, _category, message) => log(level as LogLevel, fn.name, message),
    });
    const { context, inputs } = await model.getArguments();
    const raw = await model.invokeFunction(context, inputs, fn.callback);
    const response = await model.getResponse(context, raw);
    return { raw, returnValue: response.returnValue };
  }

  /** The worker dies before the function starts or after it finishes. The caller gets no answer in either case. */
  async function hang(fn: AppFunction, trigger: TypedData, metadata: Record<string, TypedData>): Promise<never> {
    if (chaos.flip()) await call(fn, trigger, metadata).catch(() => undefined);
    return await new Promise<never>(() => undefined);
  }

  return {
    async invoke(fn, trigger, metadata = {}) {
      const hangs = HANGING.has(fn.trigger.type) && chaos.happens('hang', fn.name);
      const work = hangs ? hang(fn, trigger, metadata) : call(fn, trigger, metadata);
      if (timeoutMs === 0) {
        return await work;
      }
      let timer: NodeJS.Timeout | undefined;
      const expired = new Promise<never>((_resolve, reject) => {
        const message = `function ${fn.name} ran longer than functionTimeout (${timeoutMs} ms)`;
        timer = setTimeout(() => reject(new PromoterError('FUNCTION_TIMEOUT', message)), timeoutMs);
      });
      try {
        return await Promise.race([work, expired]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
