import { z } from 'zod';
import { contract } from '../rows/step-contract.js';

/** One call of the schedule's scan: the rows that are open, then the tags of each rule, from a cursor on. */
export const walkScheduleContract = contract(
  'walkSchedule',
  z.object({ cursor: z.string().nullable(), started: z.number() }),
  z.object({
    cursor: z.string().nullable(),
    started: z.number(),
    looked: z.number(),
    /** What could not be looked at: a line each. */
    problems: z.array(z.string()).default([]),
  }),
);
