import { z } from 'zod';
import { PromoterError } from '../../src/oci/index.js';

const stepSchema = z.object({
  step: z.string(),
  state: z.enum(['working', 'done', 'waiting', 'failed']),
  text: z.string(),
  doneBytes: z.number().optional(),
  totalBytes: z.number().optional(),
});
const promotionSchema = z.object({
  id: z.string(),
  source: z.object({ registry: z.string(), repository: z.string(), tag: z.string() }),
  destination: z.string(),
  state: z.string(),
  generation: z.number(),
  observedGeneration: z.number(),
  runId: z.string().optional(),
  runOpen: z.boolean(),
  last: z
    .object({
      outcome: z.string(),
      code: z.string().optional(),
      reason: z.string().optional(),
      remedy: z.string().optional(),
      runId: z.string(),
      finishedAt: z.string(),
      digest: z.string().optional(),
    })
    .optional(),
});
const ignoredSchema = z.object({ at: z.string(), reference: z.string(), reason: z.string() });

export type LocalStep = z.infer<typeof stepSchema>;
export type LocalPromotion = z.infer<typeof promotionSchema>;
export type LocalIgnored = z.infer<typeof ignoredSchema>;

/** The app's HTTP interface on this machine. While the host is down, everything is empty. */
export class LocalApi {
  readonly #base: string;

  constructor(hostUrl: string) {
    this.#base = `${hostUrl}/api`;
  }

  /** The 50 promotions that ran last. */
  async promotions(): Promise<LocalPromotion[]> {
    const answer = await this.#get('promotions');
    return z.object({ promotions: z.array(promotionSchema) }).safeParse(answer).data?.promotions ?? [];
  }

  async steps(runId: string): Promise<LocalStep[]> {
    const answer = await this.#get(`runs/${runId}`);
    return z.object({ steps: z.array(stepSchema) }).safeParse(answer).data?.steps ?? [];
  }

  /** Pushes that no rule matches, newest first. */
  async ignored(): Promise<LocalIgnored[]> {
    const answer = await this.#get('runs?state=ignored&size=20');
    return z.object({ ignored: z.array(ignoredSchema) }).safeParse(answer).data?.ignored ?? [];
  }

  statusUrl(promotionId: string): string {
    return `${this.#base}/promotions/${promotionId}`;
  }

  async #get(path: string): Promise<unknown> {
    try {
      const response = await fetch(`${this.#base}/${path}`, { signal: AbortSignal.timeout(10_000) });
      if (!response.ok) throw new PromoterError('HOST_ANSWER', `GET ${path} answered ${response.status}`);
      return await response.json();
    } catch {
      return undefined;
    }
  }
}
