import { ConfigurationError } from './errors.js';

/**
 * The oldest Node that undici supports (its `engines`). On an older Node, loading undici fails with a TypeError that
 * does not give the reason.
 */
export const OLDEST_NODE = '22.19.0';

/** @throws ConfigurationError `NODE_TOO_OLD` */
export function checkNode(version: string): void {
  const parts = version.split('.').map(Number);
  for (const [index, least] of OLDEST_NODE.split('.').map(Number).entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least) {
      throw new ConfigurationError('NODE_TOO_OLD', `Node ${version} is too old; ${OLDEST_NODE} or newer is required`, {
        remedy: `Install Node ${OLDEST_NODE} or newer; restart a function app in Azure to get a newer version.`,
      });
    }
  }
}

// Runs when the module is loaded. This module is imported before undici everywhere.
checkNode(process.versions.node);
