/** A row with its version (ETag). A write names the version that it replaces. */
export interface Versioned<T> {
  value: T;
  version: string;
}
