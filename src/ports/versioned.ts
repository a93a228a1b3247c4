/** A row with the version (ETag) under which it may be replaced. */
export interface Versioned<T> {
  value: T;
  version: string;
}
