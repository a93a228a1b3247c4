/** Where a digest lives. */
export interface StoredDigest {
  registry: string;
  repository: string;
  digest: string;
}
