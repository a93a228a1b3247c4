import { ConfigurationError } from './errors.js';

/** What undici needs (its `engines`). With an older Node, loading it fails with a TypeError that names no reason. */
export const OLDEST_NODE = '22.19.0';

/** @throws ConfigurationError `NODE_TOO_OLD` */
export function checkNode(version: string): void {
  const parts = version.split('.').map(Number);
  for (const [index, least] of OLDEST_NODE.split('.').map(Number).entries()) {
    const part = parts[index] ?? 0;
    if (part > least) return;
    if (part < least) {
      throw new ConfigurationError('NODE_TOO_OLD', `this is Node ${version}; ${OLDEST_NODE} or newer is needed`, {
        remedy: `Run it on Node ${OLDEST_NODE} or newer; a function app in Azure gets a newer one when it is restarted.`,
      });
    }
  }
}

// At load: this module comes before undici, wherever that is imported.
checkNode(process.versions.node);
