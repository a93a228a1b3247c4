/** What a run copies, and where to: of a promotion what its rule says, of a job what was asked for. */
export interface CopyRequest {
  source: { registry: string; repository: string };
  /** A tag or a digest. */
  root: string;
  /** Of a promotion: the tag that must still stand on the root. A run whose tag has moved on copies nothing. */
  tag?: string;
  recursive: boolean;
  excludeArtifactTypes: readonly string[];
  /** That child of an index. */
  platform?: string;
  /** What the root must be, as it is copied. */
  digest?: string;
  destination: { registry: string; repository: string };
  /** The tags that a job sets. */
  tags?: readonly string[];
  /** True if what was copied is kept, node by node, for what a job has to show. */
  receipt?: boolean;
}
