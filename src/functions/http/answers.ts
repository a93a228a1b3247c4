import type { HttpResponseInit } from '@azure/functions';

/** An error as every HTTP answer gives it. */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  more: Record<string, unknown> = {},
): HttpResponseInit {
  return { status, jsonBody: { error: { code, message, ...more } } };
}
