import { describeError } from '../oci/index.js';
import type { Documents } from '../ports/documents.js';
import { describeSigner, type SignerSource, type SignerWarning } from '../signing/index.js';

/** A warning is logged once a day, by whichever instance comes first. */
const LOOK_MS = 3_600_000;

interface WarningPorts {
  signing: SignerSource | undefined;
  documents: Pick<Documents, 'getVersioned' | 'putVersioned'>;
  now: () => Date;
}

/** What is to be done about the signing key; a key that cannot be read is one of it. */
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

/** Logs what is to be done about the signing key: looked for once an hour in each process, each warning once a day in all of them. */
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
  return documents.putVersioned('documents', name, Buffer.from(today), kept?.version);
}
