import type { CallOptions, CopyPlan, Missing, ReadableRepository } from '../../src/oci/index.js';
import { Budget, REQUESTS_AT_ONCE } from '../../src/oci/copy/budget.js';
import { askedOf, missingOf } from '../../src/oci/copy/missing.js';

/** What a destination lacks of a plan. */
export function missingAt(
  plan: CopyPlan,
  destination: ReadableRepository,
  options: CallOptions = {},
): Promise<Missing> {
  return missingOf(plan.manifests, askedOf(destination, new Budget(REQUESTS_AT_ONCE)), options.signal);
}
