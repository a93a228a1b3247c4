import { z } from 'zod';

const entrySchema = z.object({
  promotionId: z.string(),
  /**
   * The root digest of the tag whose graph contains this digest, and when a run last saw it. Absent in rows of older
   * versions.
   */
  root: z.string().exactOptional(),
  at: z.string().exactOptional(),
});
/** A promotion that contains a digest. A new referrer of the digest triggers the promotion. */
export type SubjectIndexEntry = z.infer<typeof entrySchema>;

/** Rows of older versions have only the promotion's id, as text. */
export const subjectIndexEntrySchema: z.ZodType<SubjectIndexEntry> = z.union([
  z.string().transform((promotionId) => ({ promotionId })),
  entrySchema,
]);
