/** Bounds of this folder. */
export const ORAS_LIMITS = {
  /** Levels of referrers that are discovered. `GRAPH_TOO_DEEP` */
  discoverDepth: 16,
  /** Referrers in one tree. `GRAPH_TOO_WIDE` */
  discoverNodes: 100_000,
  /** Lists of referrers that are asked for at once. */
  discoverRequests: 32,
  /** Characters of a template. `TEMPLATE_INVALID` */
  templateCharacters: 64 * 1024,
} as const;
