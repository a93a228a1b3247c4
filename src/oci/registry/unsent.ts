const unsent = new WeakSet<object>();

/** Marks an error that occurred before the request was sent: any method may be retried. */
export function markUnsent<T>(error: T): T {
  if (typeof error === 'object' && error !== null) unsent.add(error);
  return error;
}

/** Removes the mark: the error came from the body's source while the body was sent. */
export function markSent<T>(error: T): T {
  if (typeof error === 'object' && error !== null) unsent.delete(error);
  return error;
}

export function isUnsent(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unsent.has(error);
}
