import { InputError, PromoterError } from '../oci/index.js';
import type { FailedWork } from './messages.js';

/** An error in a form that can be sent to another thread. */
export function failedWork(error: unknown): FailedWork {
  if (error instanceof PromoterError) {
    const { remedy } = error;
    return { ...error.toJSON(), isInput: true, ...(remedy !== undefined && { remedy }) };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'INTERNAL', message, isInput: false };
}

/** The error that another thread has sent. */
export function errorOf({ isInput, code, message, details, remedy }: FailedWork): Error {
  if (!isInput) return new Error(message);
  return new InputError(code, message, { ...(details && { details }), ...(remedy !== undefined && { remedy }) });
}
