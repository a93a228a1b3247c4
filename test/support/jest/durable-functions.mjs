// 'durable-functions' in tests.
import durable from 'durable-functions';

export const { DummyOrchestrationContext, EntityId, OrchestrationRuntimeStatus, RetryOptions, input } = durable;
/** Tests put functions of their own in it: see registered.ts. */
export const app = { ...durable.app };
/** A test that calls a function itself passes no client. */
export const getClient = (context) => (context.options.extraInputs.length === 0 ? {} : durable.getClient(context));
