import { z } from 'zod';

export const ignoredEventSchema = z.object({
  /** The last of them. */
  at: z.string(),
  /** How many, and when the first; absent of one alone. */
  times: z.number().exactOptional(),
  firstAt: z.string().exactOptional(),
  reference: z.string(),
  /** The event's own. */
  eventId: z.string().exactOptional(),
  /** `rule staging: tag latest is not in v*` */
  reason: z.string(),
});
/** An event that no rule matches, and the first condition that failed; with those before it for the same tag and reason. */
export type IgnoredEvent = z.infer<typeof ignoredEventSchema>;

/** How many of a tag's ignored events are held against a new one: of one tag there are few reasons. */
export const IGNORED_ALIKE = 10;

/** The `registry/repository:tag` that an ignored event is about, without its digest. */
export function nameOfIgnored({ reference }: IgnoredEvent): string {
  const [name = reference] = reference.split('@', 1);
  return name;
}

/** True if both say the same: one row stands for them, with a count. */
export function isAlike(a: IgnoredEvent, b: IgnoredEvent): boolean {
  return nameOfIgnored(a) === nameOfIgnored(b) && a.reason === b.reason;
}

/** The row of an event, and of those before it that said the same. One that is told again doesn't count. */
export function mergedIgnored(before: IgnoredEvent, event: IgnoredEvent): IgnoredEvent {
  const isNew = event.eventId === undefined || event.eventId !== before.eventId;
  return { ...event, times: (before.times ?? 1) + (isNew ? 1 : 0), firstAt: before.firstAt ?? before.at };
}
