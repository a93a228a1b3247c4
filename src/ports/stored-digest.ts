/** A digest and the repository that has it. */
export interface StoredDigest {
  registry: string;
  repository: string;
  digest: string;
}
