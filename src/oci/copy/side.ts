import { CopyError, PromoterError } from '../errors.js';

/**
 * Runs one operation of a copy; what fails says on which side, with the code that it had.
 * @throws CopyError with the code, the remedy and the transience of what was thrown.
 */
export async function onSide<T>(side: 'source' | 'destination', operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // Already told by an inner operation: a source that breaks while the destination takes its bytes.
    if (!(error instanceof PromoterError) || error instanceof CopyError) throw error;
    throw new CopyError(error.code, `${operation} at the ${side}: ${error.message}`, {
      cause: error,
      details: { ...error.details, side, operation },
      ...(error.remedy !== undefined && { remedy: error.remedy }),
      transient: error.transient,
    });
  }
}
