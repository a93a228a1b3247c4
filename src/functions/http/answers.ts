import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { InputError, describeError } from '../../oci/index.js';

/** An error as every HTTP answer gives it. */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  more: Record<string, unknown> = {},
): HttpResponseInit {
  return { status, jsonBody: { error: { code, message, ...more } } };
}

/** A handler whose asker may be wrong: an InputError is answered with 400. */
export function answering(
  handle: (request: HttpRequest) => Promise<HttpResponseInit>,
): (request: HttpRequest) => Promise<HttpResponseInit> {
  return async (request) => {
    try {
      return await handle(request);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const { code, message, remedy } = describeError(error);
      return errorAnswer(400, code, message, remedy === undefined ? {} : { remedy });
    }
  };
}
