import type { SubjectIndex } from '../../ports/subject-index.js';
import type { Runs } from '../../ports/runs.js';
import type { Promotions } from '../../ports/promotions.js';
import type { Claims } from '../../ports/claims.js';
import type { Attachments } from '../../ports/attachments.js';
import type { Documents } from '../../ports/documents.js';
import type { DestinationClaim } from '../../rows/claims.js';
import type { PromotionRow } from '../../rows/promotion-row.js';
import type { RunRow } from '../../rows/run-row.js';
import type { Versioned } from '../../ports/versioned.js';
import type { SbomInput } from '../../sbom/index.js';

/** The rows that steps need. */
export type LocalStore = Promotions & Runs & Pick<SubjectIndex, 'addToSubjectIndex'> & Claims & Attachments;

/** Rows of one kind. Each write makes a new version. */
class Rows<T> {
  readonly #rows = new Map<string, Versioned<T>>();
  #writes = 0;

  get(key: string): Versioned<T> | undefined {
    return this.#rows.get(key);
  }

  /** @param version undefined: only if the row does not exist */
  put(key: string, value: T, version?: string): boolean {
    if (this.#rows.get(key)?.version !== version) return false;
    this.#writes += 1;
    this.#rows.set(key, { value, version: `${this.#writes}` });
    return true;
  }

  removeAll(prefix: string): void {
    for (const key of this.#rows.keys()) if (key.startsWith(prefix)) this.#rows.delete(key);
  }
}

/**
 * The rows of one command, in memory. Two things that only the deployed app knows are missing: the claims on
 * destination tags, and which unsigned SBOMs are its own.
 * @param promotion the promotion that the command works on, and its run
 */
export function createLocalStore(promotion?: { row: PromotionRow; run: RunRow }): LocalStore {
  const promotions = new Rows<PromotionRow>();
  const runs = new Rows<RunRow>();
  const claims = new Rows<DestinationClaim>();
  if (promotion !== undefined) {
    promotions.put(promotion.row.id, promotion.row);
    runs.put(promotion.run.id, promotion.run);
  }
  return {
    getPromotion: async (id) => promotions.get(id),
    replacePromotion: async (row, version) => promotions.put(row.id, row, version),
    insertPromotion: async (row) => promotions.put(row.id, row),
    getRun: async (id) => runs.get(id),
    insertRun: async (row) => runs.put(row.id, row),
    replaceRun: async (row, version) => runs.put(row.id, row, version),
    // The index is for later events; there are none here.
    addToSubjectIndex: async () => undefined,
    getClaim: async (destination) => claims.get(destination),
    claimDestination: async (destination, claim) => {
      claims.put(destination, claim);
      return claims.get(destination) ?? { value: claim, version: '' };
    },
    replaceClaim: async (destination, claim, version) => claims.put(destination, claim, version),
    // These records are for events of the app's own attachments; there are none here.
    markOurs: async () => undefined,
    attachedBy: async () => undefined,
  };
}

/** The documents of one command, in memory: plans, recorded signatures, checkpoints. */
export function createLocalDocuments(layers: SbomInput['layers']): Documents {
  const kept = new Rows<Uint8Array>();
  return {
    get: async (container, name) => (container === 'layers' ? layers?.read(name) : kept.get(name)?.value),
    async put(container, name, bytes) {
      if (container === 'layers') await layers?.write(name, bytes);
      else kept.put(name, bytes, kept.get(name)?.version);
    },
    putIfAbsent: async (_container, name, bytes) => {
      kept.put(name, bytes);
      return kept.get(name)?.value ?? bytes;
    },
    getVersioned: async (_container, name) => kept.get(name),
    putVersioned: async (_container, name, bytes, version) =>
      kept.put(name, bytes, version) ? kept.get(name)?.version : undefined,
    async removeAll(_container, prefix) {
      kept.removeAll(prefix);
    },
  };
}
