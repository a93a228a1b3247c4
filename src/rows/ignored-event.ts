import { z } from 'zod';

export const ignoredEventSchema = z.object({
  /** Time of the last event. */
  at: z.string(),
  /** The number of events and the time of the first; absent if there is only one. */
  times: z.number().optional(),
  firstAt: z.string().optional(),
  reference: z.string(),
  /** The id that the registry gave to the event. */
  eventId: z.string().optional(),
  /** `rule staging: tag latest is not in v*` */
  reason: z.string(),
});
/**
 * An event that no rule matches, and the first condition that it fails. Includes the earlier events of the same tag and
 * reason.
 */
export type IgnoredEvent = z.infer<typeof ignoredEventSchema>;

/** How many ignored events of a tag are compared with a new one. A tag has few different reasons. */
export const IGNORED_ALIKE = 10;

/** The `registry/repository:tag` that an ignored event is about, without its digest. */
export function nameOfIgnored({ reference }: IgnoredEvent): string {
  const [name = reference] = reference.split('@', 1);
  return name;
}

/** True if both have the same tag and reason, so that one row counts them. */
export function isAlike(a: IgnoredEvent, b: IgnoredEvent): boolean {
  return nameOfIgnored(a) === nameOfIgnored(b) && a.reason === b.reason;
}

/** The row of an event and of the earlier events like it. An event that is delivered twice counts once. */
export function mergedIgnored(before: IgnoredEvent, event: IgnoredEvent): IgnoredEvent {
  const isNew = event.eventId === undefined || event.eventId !== before.eventId;
  return { ...event, times: (before.times ?? 1) + (isNew ? 1 : 0), firstAt: before.firstAt ?? before.at };
}
