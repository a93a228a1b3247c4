import { keyHash, type Signer } from '../signing/index.js';
import type { Ports } from '../ports/ports.js';

// Every key that has signed here is a document, written before its first signature. No signature by one of them, present or former,
// stands for somebody else's approval.

type KeyPorts = Pick<Ports, 'documents' | 'now'>;

/** Keys that are known to have their document, for each store: a key never stops being ours. */
const known = new WeakMap<object, Set<string>>();

function knownTo({ documents }: Pick<Ports, 'documents'>): Set<string> {
  const keys = known.get(documents) ?? new Set<string>();
  known.set(documents, keys);
  return keys;
}

function nameOf(hash: string): string {
  return `keys/${hash}`;
}

const hashes = new WeakMap<Uint8Array, string>();

/** SHA-256 of the public key (SubjectPublicKeyInfo) that signs, hex: the same for each certificate around it. */
function keyHashOf({ certificates: [leaf] }: Signer): string {
  if (leaf === undefined) return '';
  const hash = hashes.get(leaf) ?? keyHash(leaf);
  hashes.set(leaf, hash);
  return hash;
}

/** Notes that a key signs here. To be called before it does; costs one write for each key and process. */
export async function noteKey(ports: KeyPorts, signer: Signer): Promise<void> {
  const hash = keyHashOf(signer);
  const keys = knownTo(ports);
  if (keys.has(hash)) return;
  const note = { firstUsedAt: ports.now().toISOString() };
  await ports.documents.putIfAbsent('documents', nameOf(hash), Buffer.from(JSON.stringify(note)));
  keys.add(hash);
}

/** True for a key that signs here, or ever did. One read, and none for a key that is known. */
export async function isOurKey(ports: Pick<Ports, 'documents' | 'signer'>, hash: string): Promise<boolean> {
  if (ports.signer !== undefined && keyHashOf(ports.signer) === hash) return true;
  const keys = knownTo(ports);
  if (keys.has(hash)) return true;
  const isNoted = (await ports.documents.get('documents', nameOf(hash))) !== undefined;
  if (isNoted) keys.add(hash);
  return isNoted;
}
