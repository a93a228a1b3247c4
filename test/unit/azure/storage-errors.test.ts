import { describe, expect, test } from '@jest/globals';
import { storageError } from '../../../src/azure/storage-errors.js';

/** As the SDKs throw them: the storage SDKs have the service's code in `code`, the tables SDK in `details`. */
const failure = (statusCode: number, code: string, message = ''): Error =>
  Object.assign(new Error(message), { statusCode, code });

describe('refusals of Azure Storage', () => {
  test.each([
    ['the network is not let in', 'AuthorizationFailure', 'This request is not authorized to perform this operation.'],
    ['the address is not that of the signature', 'AuthorizationSourceIPMismatch', ''],
  ])('%s is reported as a firewall problem', (_, code, message) => {
    const error = storageError('table runs', failure(403, code, message));
    expect(error).toMatchObject({ code: 'STORAGE_FIREWALL', transient: false });
    expect(error).toMatchObject({ remedy: expect.stringMatching(/network; a role does not help/) });
    const ofTables = Object.assign(new Error(message), { statusCode: 403, details: { errorCode: code } });
    expect(storageError('table runs', ofTables)).toMatchObject({ code: 'STORAGE_FIREWALL' });
  });

  test.each([
    [
      'AuthorizationPermissionMismatch',
      'This request is not authorized to perform this operation using this permission.',
    ],
    ['AuthenticationFailed', 'Server failed to authenticate the request.'],
    // Azurite's code for the same.
    ['AuthorizationFailure', 'Server failed to authenticate the request. Make sure the value of the header is formed.'],
  ])('%s is reported as a problem of roles or keys', (code, message) => {
    const error = storageError('table runs', failure(403, code, message));
    expect(error).toMatchObject({ code: 'STORAGE_DENIED', remedy: expect.stringContaining('Storage Blob Data Owner') });
  });
});
