/** What the vault answers: status, headers, and a body of JSON. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: unknown;
}

/** An error as Key Vault writes it. @see https://learn.microsoft.com/azure/key-vault/general/rest-error-codes */
export function refusal(status: number, code: string, message: string, inner?: string): Answer {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return { status, body: { error: { code, message, ...innererror } } };
}

export const ANSWERS = {
  noApiVersion: () =>
    refusal(
      400,
      'MissingApiVersionParameter',
      'The api-version query parameter (?api-version=) is required for all requests.',
    ),
  unknownApiVersion: (version: string) =>
    refusal(400, 'BadParameter', `The specified version (${version}) is not recognized.`),
  badParameter: (message: string) => refusal(400, 'BadParameter', message),
  unauthorized: (message: string, challenge: string): Answer => ({
    ...refusal(401, 'Unauthorized', message),
    headers: { 'www-authenticate': challenge },
  }),
  forbiddenByRbac: (action: string, resource: string) =>
    refusal(
      403,
      'Forbidden',
      `Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid=app;oid=object\r\nAction: '${action}'\r\nResource: '${resource}'\r\nAssignment: (not found)\r\n`,
      'ForbiddenByRbac',
    ),
  forbiddenByFirewall: () =>
    refusal(
      403,
      'Forbidden',
      'Client address is not authorized and caller is not a trusted service.\r\nClient address: 203.0.113.7\r\n',
      'ForbiddenByFirewall',
    ),
  keyNotFound: (name: string) =>
    refusal(
      404,
      'KeyNotFound',
      `A key with (name/id) ${name} was not found in this key vault. If you recently deleted this key you may be able to recover it using the correct recovery command.`,
    ),
  certificateNotFound: (name: string) =>
    refusal(404, 'CertificateNotFound', `A certificate with (name/id) ${name} was not found in this key vault.`),
  secretNotFound: (name: string) =>
    refusal(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found in this key vault.`),
  keyDisabled: () => refusal(403, 'Forbidden', 'Operation sign is not allowed on a disabled key.', 'KeyDisabled'),
  keyExpired: () => refusal(403, 'Forbidden', 'Operation sign is not allowed on an expired key.', 'KeyExpired'),
  keyNotYetValid: () =>
    refusal(403, 'Forbidden', 'Operation sign is not allowed on a key that is not yet valid.', 'KeyNotYetValid'),
  operationForbidden: () =>
    refusal(403, 'Forbidden', 'Operation sign is not permitted on this key.', 'KeyOperationForbidden'),
  throttled: (retryAfterSeconds?: number): Answer => ({
    ...refusal(429, 'Throttled', 'Request was not processed because too many requests were received.'),
    ...(retryAfterSeconds !== undefined && { headers: { 'retry-after': String(retryAfterSeconds) } }),
  }),
};
