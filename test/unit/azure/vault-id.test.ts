import { expect, test } from '@jest/globals';
import { parseVaultId } from '../../../src/azure/vault-id.js';

const VERSION = '7fe415d5518240c1a6fce89986b8d334';

test.each([
  ['https://contoso.vault.azure.net/keys/signing', { name: 'signing' }],
  ['https://contoso.vault.azure.net/keys/signing/', { name: 'signing' }],
  [`https://contoso.vault.azure.net/keys/Signing-2/${VERSION}`, { name: 'Signing-2', version: VERSION }],
  // As Azure PowerShell prints it.
  [`https://Contoso.vault.azure.net:443/keys/signing/${VERSION}`, { name: 'signing', version: VERSION }],
])('%s is a key of one vault, however its id is written', (text, expected) => {
  expect(parseVaultId('keys', text)).toEqual({ vault: 'https://contoso.vault.azure.net', ...expected });
});

test.each([
  'http://contoso.vault.azure.net/keys/signing',
  'https://contoso.vault.azure.net:8443/keys/signing',
  'https://contoso.vault.azure.net/secrets/signing',
  'https://contoso.vault.azure.net/keys/signing/1',
  `https://contoso.vault.azure.net/keys/signing/${VERSION}/sign`,
  'https://contoso.vault.azure.net.example.org/keys/signing',
  'https://user@contoso.vault.azure.net/keys/signing',
  'https://contoso.vault.azure.net/keys/signing?x=1',
])('%s is none', (text) => {
  expect(parseVaultId('keys', text)).toBeUndefined();
});
