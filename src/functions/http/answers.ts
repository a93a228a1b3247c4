import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { InputError, describeError } from '../../oci/index.js';

/** An error answer. All HTTP functions use this form. */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  more: Record<string, unknown> = {},
): HttpResponseInit {
  return { status, jsonBody: { error: { code, message, ...more } } };
}

/** There is no promotion with this id. */
export function unknownPromotion(id: string): HttpResponseInit {
  const remedy = 'List promotions with their ids: acr-promoter promotions --wide';
  return errorAnswer(404, 'PROMOTION_UNKNOWN', `there is no promotion ${id}`, { remedy });
}

/** Wraps a handler: an InputError becomes an answer with status 400. */
export function answering(
  handle: (request: HttpRequest) => Promise<HttpResponseInit>,
): (request: HttpRequest) => Promise<HttpResponseInit> {
  return async (request) => {
    try {
      return await handle(request);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const { code, message, remedy } = describeError(error);
      return errorAnswer(400, code, message, { remedy });
    }
  };
}
