import { PromoterError, describeError } from '../oci/index.js';
import type { AzureStorage } from './storage.js';

/** How long the app's start waits for storage, in milliseconds; the host allows 30 s in all. */
const START_WAIT_MS = 10_000;
const FIRST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 30_000;

/**
 * Creates everything that is missing in the storage account. If the account does not answer, the process retries in the
 * background until it succeeds. No message is handled before that, because queues and orchestrations are in the same
 * account.
 * @throws ConfigurationError `STORAGE_DENIED`: the settings are wrong, so a retry cannot succeed
 */
export async function ensureCreated(storage: Pick<AzureStorage, 'ensureCreated'>): Promise<void> {
  const first = storage.ensureCreated().then(
    () => undefined,
    (error: unknown) => error,
  );
  const late = pause(START_WAIT_MS).then(() => new Error('no answer yet'));
  const failure = await Promise.race([first, late]);
  if (failure === undefined) return;
  if (failure instanceof PromoterError && failure.code === 'STORAGE_DENIED') throw failure;
  void createLater(storage);
}

async function createLater(storage: Pick<AzureStorage, 'ensureCreated'>): Promise<void> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MOST_PAUSE_MS)) {
    await pause(pauseMs);
    try {
      return await storage.ensureCreated();
    } catch (error) {
      const { code, message } = describeError(error);
      console.error(`${code}: ${message}; retrying`);
    }
  }
}

/** Does not keep the process alive. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
