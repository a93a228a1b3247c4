import { z } from 'zod';

/** Why a step is to be called again, if that is trouble and not only its turn that it waits for. */
export const troubleSchema = z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() });
export type Trouble = z.infer<typeof troubleSchema>;

/** The field `attempt` in the input of a step that is called again. Times are milliseconds since 1970. */
export const attemptSchema = z.object({
  /** Calls so far. */
  count: z.number(),
  /** When it backed off first. */
  sinceMs: z.number(),
  /** The code of the last trouble, and when it came first without another in between. */
  code: z.string().optional(),
  codeSinceMs: z.number(),
  /** When the run gives up. */
  untilMs: z.number(),
  /** When it is called, by the same clock as the others: that of the host that works may be an hour off. */
  nowMs: z.number().optional(),
});
export type Attempt = z.infer<typeof attemptSchema>;

/** One more backoff. */
export function attemptOnce(
  before: Attempt | undefined,
  trouble: Trouble | undefined,
  nowMs: number,
  untilMs: number,
): Attempt {
  const isSame = before !== undefined && before.code === trouble?.code;
  return {
    count: (before?.count ?? 0) + 1,
    sinceMs: before?.sinceMs ?? nowMs,
    ...(trouble !== undefined && { code: trouble.code }),
    codeSinceMs: isSame ? before.codeSinceMs : nowMs,
    untilMs,
  };
}
