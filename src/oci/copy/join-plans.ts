import { sumOf } from './plan.js';
import type { CopyPlan } from './plan.js';

/**
 * Joins the plans of several graphs from one source. The result has the root of the first plan and each manifest once.
 * A graph comes after the graph that it refers to.
 */
export function joinPlans(first: CopyPlan, ...more: readonly CopyPlan[]): CopyPlan {
  const manifests = new Map(
    [first, ...more].flatMap((plan) => plan.manifests).map((each) => [each.descriptor.digest, each] as const),
  );
  const there = [...manifests.values()];
  const left = new Map([first, ...more].flatMap((plan) => plan.leftOut).map((each) => [each.digest, each] as const));
  return { ...first, manifests: there, leftOut: [...left.values()], ...sumOf(there) };
}
