import type { Command } from 'commander';

/** Options for the local key that signs SBOMs and manifests. */
export function addSigningOptions(command: Command): void {
  command
    .option('--signing-key <path>', 'the signing key, PEM, EC P-256 or RSA (default $SIGNING_KEY)')
    .option(
      '--certificate-chain <path>',
      'its certificate chain, PEM, leaf first (default $SIGNING_CERTIFICATE_CHAIN)',
    );
}
