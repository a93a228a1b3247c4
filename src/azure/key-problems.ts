import { ConfigurationError } from '../oci/index.js';

// Problems of the signing key itself, known from its properties or from Key Vault's answer.

export function keyDisabled(id: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_DISABLED', `${id} is disabled`, {
    details: { id },
    remedy:
      'Enable this version of the key, or create a new version and a certificate for it (docs/how-to/operate.md).',
  });
}

export function keyExpired(id: string, at?: Date): ConfigurationError {
  return new ConfigurationError(
    'SIGNING_KEY_EXPIRED',
    `${id} has expired${at === undefined ? '' : ` at ${at.toISOString()}`}`,
    {
      details: { id },
      remedy: 'Rotate the key and create a certificate for the new version, or set a later expiry date.',
    },
  );
}

export function keyNotYetValid(id: string, from?: Date): ConfigurationError {
  const when = from === undefined ? 'is not active yet' : `is not active before ${from.toISOString()}`;
  return new ConfigurationError('SIGNING_KEY_NOT_YET_VALID', `${id} ${when}`, {
    details: { id },
    remedy: 'Wait until the key’s activation date, or set an earlier one.',
  });
}

export function keyCannotSign(id: string): ConfigurationError {
  return new ConfigurationError('SIGNING_KEY_CANNOT_SIGN', `${id} does not allow the operation sign`, {
    details: { id },
    remedy: 'Add sign to the key’s permitted operations, or set SIGNING_KEY to a key that has it.',
  });
}

export function vaultFirewall(id: string): ConfigurationError {
  return new ConfigurationError('KEY_VAULT_FIREWALL', `${id}: the firewall of the vault refuses this address`, {
    details: { id },
    remedy:
      'Allow this address in the vault’s network settings, or connect the app to a virtual network that the vault allows. A role does not help.',
  });
}
