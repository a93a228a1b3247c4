import type { DatabaseSync } from 'node:sqlite';
import type { Guard } from './access/guard.js';
import type { Principals } from './access/principals.js';
import type { Tokens } from './access/tokens.js';
import type { BlobHost } from './blob-host.js';
import type { Call } from './call.js';
import type { EventJournal } from './events/journal.js';
import type { RegistryOptions } from './options.js';
import type { Quirks } from './quirks.js';
import type { BlobStore } from './storage/blobs.js';
import type { LateReads } from './storage/late-reads.js';
import type { LockStore } from './storage/locks.js';
import type { ManifestStore } from './storage/manifests.js';
import type { UploadStore } from './storage/uploads.js';

/** What all routes of a registry share. */
export interface Context {
  options: RegistryOptions;
  quirks: Quirks;
  /** The login server's name. */
  name: string;
  database: DatabaseSync;
  blobs: BlobStore;
  uploads: UploadStore;
  manifests: ManifestStore;
  /** The manifests and tags that reads see. */
  reads: LateReads;
  locks: LockStore;
  tokens: Tokens;
  principals: Principals;
  guard: Guard;
  events: EventJournal;
  /** Where blobs are redirected with `redirectBlobs`. */
  blobHost?: BlobHost;
  /** The number of PATCH requests, for `loseEveryNthUpload`. */
  patches: number;
}

/** What the path names: a repository, and a tag, digest or upload in it. */
export interface Target {
  repository: string;
  reference: string;
}

/** Answers a request that was authorised. */
export type Handler = (context: Context, call: Call, target: Target) => Promise<void>;
