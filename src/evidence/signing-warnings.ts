import { describeError } from '../oci/index.js';
import type { Documents } from '../ports/documents.js';
import { describeSigner, type SignerSource, type SignerWarning } from '../signing/index.js';

/** How often each process looks for warnings, in milliseconds. */
const LOOK_MS = 3_600_000;

interface WarningPorts {
  signing: SignerSource | undefined;
  documents: Pick<Documents, 'getVersioned' | 'putVersioned'>;
  now: () => Date;
}

/** Warnings about the signing key. If the key cannot be read, the error is the warning. */
export async function signingWarnings(
  { signing, now }: Pick<WarningPorts, 'signing' | 'now'>,
  signal?: AbortSignal,
): Promise<SignerWarning[]> {
  if (signing === undefined) return [];
  try {
    return describeSigner(await signing.current(signal), now()).warnings;
  } catch (error) {
    const { code, message, remedy = '' } = describeError(error);
    return [{ code, message, remedy }];
  }
}

/**
 * Returns a function that logs warnings about the signing key. Each process looks once an hour; each warning is logged
 * once a day over all processes.
 */
export function signingLog(ports: WarningPorts): (log: (text: string) => void) => Promise<void> {
  let nextLookMs = 0;
  return async (log) => {
    const nowMs = ports.now().getTime();
    if (nowMs < nextLookMs) return;
    nextLookMs = nowMs + LOOK_MS;
    for (const warning of await signingWarnings(ports)) {
      if (await isFirstToday(ports, warning.code)) log(`${warning.code}: ${warning.message}. ${warning.remedy}`);
    }
  };
}

async function isFirstToday({ documents, now }: WarningPorts, code: string): Promise<boolean> {
  const name = `warnings/${code}`;
  const today = now().toISOString().slice(0, 10);
  const kept = await documents.getVersioned('documents', name);
  if (kept !== undefined && Buffer.from(kept.value).toString('utf8') === today) return false;
  return (await documents.putVersioned('documents', name, Buffer.from(today), kept?.version)) !== undefined;
}
