import { z } from 'zod';

export const subjectIndexEntrySchema = z.object({
  promotionId: z.string(),
  /** The root digest of the tag whose graph contains this digest, and when a run last saw it. */
  root: z.string(),
  at: z.string(),
});
/** A promotion that contains a digest. A new referrer of the digest triggers the promotion. */
export type SubjectIndexEntry = z.infer<typeof subjectIndexEntrySchema>;
