import { sumOf } from './plan.js';
import type { CopyPlan } from './plan.js';

/** One plan for several graphs of one source: the first one's root, and of each manifest one. What a graph refers to comes before it. */
export function joinPlans(first: CopyPlan, ...more: readonly CopyPlan[]): CopyPlan {
  const manifests = new Map(
    [first, ...more].flatMap((plan) => plan.manifests).map((each) => [each.descriptor.digest, each] as const),
  );
  const there = [...manifests.values()];
  const left = new Map([first, ...more].flatMap((plan) => plan.leftOut).map((each) => [each.digest, each] as const));
  return { ...first, manifests: there, leftOut: [...left.values()], ...sumOf(there) };
}
