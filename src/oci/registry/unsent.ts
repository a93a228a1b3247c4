const unsent = new WeakSet<object>();

/** Notes that this error came before anything of the request was sent: it may be tried again whatever its method. */
export function markUnsent<T>(error: T): T {
  if (typeof error === 'object' && error !== null) unsent.add(error);
  return error;
}

/** Takes the note back: the error is a body's source's, and came while its bytes were on their way. */
export function markSent<T>(error: T): T {
  if (typeof error === 'object' && error !== null) unsent.delete(error);
  return error;
}

export function isUnsent(error: unknown): boolean {
  return typeof error === 'object' && error !== null && unsent.has(error);
}
