import type { OrchestrationContext, Task } from 'durable-functions';
import { ConfigurationError, isRecord } from '../../oci/index.js';
import { ORCHESTRATION_VERSION } from '../../promotions/orchestration-version.js';

type Orchestrator = (context: OrchestrationContext) => Generator<Task, unknown, unknown>;

function versionOf(input: unknown): number {
  return isRecord(input) && typeof input.version === 'number' ? input.version : 1;
}

/**
 * An orchestration whose instances each go on with the code that began them. One of a version that isn't kept, or of a newer one
 * after a deployment was taken back, fails at once: its row is open and its instance has ended, so that the next look at the
 * row, within a tick, opens the next run, which goes on from what is there.
 * @param kept the former ones, by version, for as long as there can be instances of them
 * @throws ConfigurationError `ORCHESTRATION_VERSION_UNKNOWN`
 */
export function versioned(current: Orchestrator, kept: Readonly<Record<number, Orchestrator>> = {}): Orchestrator {
  return function* (context) {
    const version = versionOf(context.df.getInput());
    const orchestrator = version === ORCHESTRATION_VERSION ? current : kept[version];
    if (orchestrator === undefined) {
      throw new ConfigurationError(
        'ORCHESTRATION_VERSION_UNKNOWN',
        `this code has version ${ORCHESTRATION_VERSION} of its orchestrations, and keeps ${Object.keys(kept).join(', ') || 'no other'}: not ${version}`,
        { remedy: 'Nothing: the next run does it all. A job is to be sent again, under another id.' },
      );
    }
    return yield* orchestrator(context);
  };
}
