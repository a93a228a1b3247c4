import { ConfigurationError } from '../../src/oci/index.js';

/**
 * What the local host does not do is refused by its name.
 * @returns a ConfigurationError `LOCAL_HOST_UNSUPPORTED`.
 */
export function unsupported(what: string): ConfigurationError {
  return new ConfigurationError('LOCAL_HOST_UNSUPPORTED', `the local host does not do ${what}`, {
    remedy: 'Run the app under Azure Functions Core Tools (`func start`) where it needs this.',
  });
}
