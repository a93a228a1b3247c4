import { z } from 'zod';
import { isRecord } from '../oci/index.js';

/** Why a step asks to be called again, where that is trouble and not only a lease that another holds. */
export const troubleSchema = z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() });
export type Trouble = z.infer<typeof troubleSchema>;

/** What a step that was put off is told with its input, under `again`. Times are milliseconds since 1970. */
export const againSchema = z.object({
  /** Calls so far. */
  tries: z.number(),
  /** When it was put off first. */
  since: z.number(),
  /** The code of the last trouble, and when it came first without another in between. */
  code: z.string().optional(),
  codeSince: z.number(),
  /** When the run gives up. */
  until: z.number(),
});
export type Again = z.infer<typeof againSchema>;

/** What the calls of a step in its stretches before were told, where what they waited for is still waited for. */
export function againOfCursor(input: unknown): Again | undefined {
  const cursor = isRecord(input) ? input.cursor : undefined;
  return isRecord(cursor) ? againSchema.safeParse(cursor.again).data : undefined;
}

/** One more time put off. */
export function putOffOnce(before: Again | undefined, trouble: Trouble | undefined, now: number, until: number): Again {
  const same = before !== undefined && before.code === trouble?.code;
  return {
    tries: (before?.tries ?? 0) + 1,
    since: before?.since ?? now,
    ...(trouble !== undefined && { code: trouble.code }),
    codeSince: same ? before.codeSince : now,
    until,
  };
}
