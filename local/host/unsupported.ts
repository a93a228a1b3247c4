import { ConfigurationError } from '../../src/oci/index.js';

/** The error for what the local host does not support. */
export function unsupported(what: string): ConfigurationError {
  return new ConfigurationError('LOCAL_HOST_UNSUPPORTED', `the local host does not support ${what}`, {
    remedy: 'Run the app with Azure Functions Core Tools (`func start`) if it needs this.',
  });
}
