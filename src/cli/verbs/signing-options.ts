import type { Command } from 'commander';

/** The key that signs here: SBOMs, signatures. */
export function addSigningOptions(command: Command): void {
  command
    .option('--signing-key <path>', 'the signing key, PEM, EC P-256 or RSA (default $SIGNING_KEY)')
    .option(
      '--certificate-chain <path>',
      'its certificate chain, PEM, leaf first (default $SIGNING_CERTIFICATE_CHAIN)',
    );
}
