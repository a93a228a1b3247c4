import type { Command } from 'commander';

/** The key that signs here: SBOMs, signatures. */
export function addSigningOptions(command: Command): void {
  command
    .option('--signing-key <path>', 'the key that signs, PEM, EC P-256 or RSA; by default $SIGNING_KEY')
    .option(
      '--certificate-chain <path>',
      'its certificate and those above it, PEM, leaf first; by default $SIGNING_CERTIFICATE_CHAIN',
    );
}
