import { PromoterError, describeError } from '../oci/index.js';
import type { AzureStorage } from './storage.js';

/** Milliseconds that the start of the app waits for storage; the host gives it 30 s in all. */
const START_WAIT_MS = 10_000;
const FIRST_PAUSE_MS = 1_000;
const MOST_PAUSE_MS = 30_000;

/**
 * Makes what is missing in the storage account. An account that does not answer is tried again in the background for as long as the
 * process lives: nothing is consumed before it answers, since queues and orchestrations are in it as well.
 * @throws ConfigurationError `STORAGE_DENIED`: the setting is wrong, and no later try can succeed
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
      console.error(`${code}: ${message}; trying again`);
    }
  }
}

/** Keeps no process alive. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
