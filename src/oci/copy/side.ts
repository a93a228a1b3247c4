import { CopyError, PromoterError } from '../errors.js';

/**
 * Runs one operation of a copy and names the operation and its side in errors.
 * @throws CopyError with the code, remedy and transience of the original error
 */
export async function onSide<T>(side: 'source' | 'destination', operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // An inner operation has already named the side: a source may fail while the destination reads from it.
    if (!(error instanceof PromoterError) || error instanceof CopyError) throw error;
    throw new CopyError(error.code, `${operation} at the ${side}: ${error.message}`, {
      cause: error,
      details: { ...error.details, side, operation },
      ...(error.remedy !== undefined && { remedy: error.remedy }),
      transient: error.transient,
    });
  }
}
