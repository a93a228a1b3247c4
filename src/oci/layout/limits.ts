/** Bounds of reading layouts. */
export const LAYOUT_LIMITS = {
  /** Bytes of index.json: it lists every manifest of the layout. `TOO_LARGE` */
  indexBytes: 64 * 1024 * 1024,
  /** Bytes of the file `oci-layout`. `TOO_LARGE` */
  markerBytes: 4096,
  /** Files in a tar archive. `LAYOUT_INVALID` */
  tarEntries: 1_000_000,
  /** Bytes of a name in a tar archive's extended header. `LAYOUT_INVALID` */
  tarNameBytes: 64 * 1024,
} as const;
