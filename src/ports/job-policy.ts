/** Repository globs: of all that an operation touches, or of the sides of a copy; a side without globs may be any repository. */
export type JobScope =
  readonly string[] | { readonly from?: readonly string[] | undefined; readonly to?: readonly string[] | undefined };

/** What jobs may do. */
export interface JobPolicy {
  /** ALLOWED_REGISTRIES. */
  allowedRegistries: readonly string[];
  operations: readonly string[];
  /** By operation; one that isn't named may touch every repository but those that rules read or write. */
  scopes: Readonly<Record<string, JobScope>>;
  /** The credentials that jobs may name, and the registry that each is for. */
  credentials: Readonly<Record<string, { registry: string }>>;
}
