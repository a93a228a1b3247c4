export interface Page<T> {
  items: T[];
  /** Give it back to get the next page; absent on the last one. */
  next?: string;
}

export interface PageOptions {
  /** 1 to 100; 50 by default. */
  size?: number;
  from?: string;
}

/** A page may hold fewer rows than asked for, none even, and `next` all the same: so much was looked at, and no more. */
export interface FilteredPageOptions<F> extends PageOptions {
  filter?: F;
}
