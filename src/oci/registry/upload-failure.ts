import type { PromoterError } from '../errors.js';
import { registryErrorFrom } from './error-from-answer.js';
import type { TransportRequest, TransportResponse } from './transport.js';

/** The registry has lost or closed the upload session. The upload starts over with POST. */
export class SessionLost extends Error {
  readonly reason: PromoterError;

  constructor(reason: PromoterError) {
    super(reason.message);
    this.reason = reason;
  }
}

const LOST_CODES = new Set(['BLOB_UPLOAD_UNKNOWN', 'BLOB_UPLOAD_INVALID']);

/**
 * Converts an unexpected answer within an upload session to an error, or to SessionLost if the upload must start over.
 */
export async function uploadFailure(
  response: TransportResponse,
  request: TransportRequest,
  what: string,
): Promise<PromoterError | SessionLost> {
  const error = await registryErrorFrom(response, request, what);
  const { status, registryCodes } = error.info;
  const lost = status === 404 || status === 416 || status >= 500 || registryCodes.some((code) => LOST_CODES.has(code));
  return lost ? new SessionLost(error) : error;
}
