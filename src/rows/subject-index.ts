import { z } from 'zod';

const entrySchema = z.object({
  promotionId: z.string(),
  /** The tag's digest that has it in its graph, and when a run has seen it last; absent in rows of an older version. */
  root: z.string().exactOptional(),
  at: z.string().exactOptional(),
});
/** A promotion that stands on a digest: what refers to that is its concern. */
export type SubjectIndexEntry = z.infer<typeof entrySchema>;

/** Once it was the promotion's id alone. */
export const subjectIndexEntrySchema: z.ZodType<SubjectIndexEntry> = z.union([
  z.string().transform((promotionId) => ({ promotionId })),
  entrySchema,
]);
