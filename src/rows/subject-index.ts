import { z } from 'zod';

/** A promotion that stands on a digest: what refers to that is its concern. */
export interface Standing {
  promotionId: string;
  /** The tag's digest that has it in its graph, and when a run has seen it last; absent in rows of an older version. */
  root?: string;
  at?: string;
}

/** Once it was the promotion's id alone. */
export const standingSchema: z.ZodType<Standing> = z.union([
  z.string().transform((promotionId) => ({ promotionId })),
  z.object({ promotionId: z.string(), root: z.string().exactOptional(), at: z.string().exactOptional() }),
]);
