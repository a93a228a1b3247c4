/** Bounds of this folder: what is over them is refused with a code, never truncated in silence. */
export const LIMITS = {
  /** Bytes of a manifest or index (ACR and the specification's recommendation: 4 MiB). `TOO_LARGE` */
  manifestBytes: 4 * 1024 * 1024,
  /** Bytes of an image's config, where it decides what a manifest is. `TOO_LARGE` */
  configBytes: 4 * 1024 * 1024,
  /** Layers of no known type of one manifest, and their bytes, that are read to see whether a runtime would unpack one; more count as if it would. */
  sniffedLayers: 1000,
  sniffedBytes: 64 * 1024 * 1024,
  /** Entries of one list in a manifest. `MANIFEST_INVALID` */
  manifestEntries: 20_000,
  /** Names of one object in a manifest or an image's config, annotations for example. `MANIFEST_INVALID` */
  objectNames: 10_000,
  /** Bytes of any other JSON answer: tags, catalog, tokens, errors. `TOO_LARGE` */
  answerBytes: 4 * 1024 * 1024,
  /** Pages of one listing. `TOO_MANY_PAGES` */
  pages: 10_000,
  /** Redirects of one request. `TOO_MANY_REDIRECTS` */
  redirects: 5,
  /** Levels of referrers of referrers, and of indexes in indexes. `GRAPH_TOO_DEEP` */
  graphDepth: 16,
  /** Nodes in one graph, blobs included. `GRAPH_TOO_WIDE` */
  graphNodes: 100_000,
} as const;
