/**
 * Repository globs: for all repositories of an operation, or for each side of a copy. A side without globs allows every
 * repository.
 */
export type JobScope =
  readonly string[] | { readonly from?: readonly string[] | undefined; readonly to?: readonly string[] | undefined };

/** What jobs may do. */
export interface JobPolicy {
  /** From the setting ALLOWED_REGISTRIES. */
  allowedRegistries: readonly string[];
  operations: readonly string[];
  /**
   * Scopes by operation. An operation without a scope may use every repository except those that a rule reads or
   * writes.
   */
  scopes: Readonly<Record<string, JobScope>>;
  /** The credentials that jobs may name, and the registry of each. */
  credentials: Readonly<Record<string, { registry: string }>>;
}
