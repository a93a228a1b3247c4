import { PromoterError } from '../oci/index.js';
import type { RunInput } from './run-row.js';
import type { StepCall } from '../ports/step.js';

/** What a promotion's run is about: the rule, as it stood when the run was opened, the source tag and the destination. */
export type OpenedPromotion = Extract<RunInput, { kind: 'promotion' }>;

/** The input of the run that a step is called for. @throws PromoterError `RUN_UNKNOWN` */
export function openedBy({ run }: Pick<StepCall, 'run'>): OpenedPromotion {
  if (run?.input.kind === 'promotion') return run.input;
  throw new PromoterError('RUN_UNKNOWN', 'the run of this step is no promotion that is kept', {
    remedy: 'Nothing: the next run begins anew.',
  });
}
