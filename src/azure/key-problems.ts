import { ConfigurationError } from '../oci/index.js';

// What can be wrong with a signing key in Key Vault itself: known from the key's properties, or from the vault's answer.

export function keyDisabled(id: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_DISABLED', `${id} is disabled`, {
    details: { id },
    remedy: 'Enable this version of the key, or make a new version with a certificate (docs/how-to/operate.md).',
  });
}

export function keyExpired(id: string, at?: Date): ConfigurationError {
  return new ConfigurationError(
    'SIGNING_KEY_EXPIRED',
    `${id} has expired${at === undefined ? '' : ` at ${at.toISOString()}`}`,
    {
      details: { id },
      remedy: 'Rotate the key and make a certificate for the new version, or set a later expiry date.',
    },
  );
}

export function keyNotYetValid(id: string, from?: Date): ConfigurationError {
  const when = from === undefined ? 'is not active yet' : `is active from ${from.toISOString()} on`;
  return new ConfigurationError('SIGNING_KEY_NOT_YET_VALID', `${id} ${when}`, {
    details: { id },
    remedy: 'Wait until the key’s activation date, or set an earlier one.',
  });
}

export function keyCannotSign(id: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_CANNOT_SIGN', `${id} does not permit the operation sign`, {
    details: { id },
    remedy: 'Add sign to the permitted operations of the key, or name a key that has it.',
  });
}

export function vaultFirewall(id: string): ConfigurationError {
  return new ConfigurationError('KEY_VAULT_FIREWALL', `${id}: the firewall of the vault refuses this address`, {
    details: { id },
    remedy:
      'Allow the address in the networking of the vault, or integrate the app into a virtual network that the vault lets in; roles do not help.',
  });
}
