export interface Page<T> {
  items: T[];
  /** Where the next page starts. Absent on the last page. */
  next?: string | undefined;
}

export interface PageOptions {
  /** 1 to 100. Default: 50. */
  size?: number;
  from?: string | undefined;
}

/** A page may have fewer rows than `size`, or none, and still have `next`: one call reads a limited number of rows. */
export interface FilteredPageOptions<F> extends PageOptions {
  filter?: F;
}
