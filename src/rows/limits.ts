/** Bounds of this folder. */
export const RUN_LIMITS = {
  /** Tries of one conditional write. `ROW_CONTENDED` */
  rowTries: 60,
  /** How long an engine instance may be pending before it counts as lost, in milliseconds. */
  pendingMs: 15 * 60_000,
  /** How long after its rule's deadline a run may be open, in milliseconds: its first and its last step are waited for a day each. */
  overdueMs: 48 * 3_600_000,
} as const;
