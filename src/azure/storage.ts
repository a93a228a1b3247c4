import { TableClient, type TableServiceClientOptions } from '@azure/data-tables';
import type { TokenCredential } from '@azure/identity';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { ConfigurationError, type Lease, type RateSharing } from '../oci/index.js';
import type { Documents } from '../ports/documents.js';
import type { Files } from '../ports/files.js';
import type { QueueLengths, QueueName, Queues } from '../ports/queues.js';
import type { Store } from '../ports/store.js';
import { blobLease } from './blob-lease.js';
import { blobDocuments } from './documents.js';
import { blobFiles } from './files.js';
import { storageQueueLengths, storageQueues } from './queues.js';
import { tableRunStore } from './run-store.js';
import { callStorage } from './storage-errors.js';
import { tableRateSharing } from './table-rate-sharing.js';
import { TableRows, type OnUnreadableRow } from './table-rows.js';

const TABLES = ['promotions', 'runs'];
const CONTAINERS = ['documents', 'receipts', 'dead-letters', 'leases', 'source', 'target'];
const QUEUES: readonly QueueName[] = [
  'registry-events',
  'jobs',
  'schedule',
  'registry-events-poison',
  'jobs-poison',
  'promotion-results',
];

/** Where the storage account is. */
export type StorageConnection =
  /** Azurite, or an account with shared keys: `AzureWebJobsStorage`. */
  | { connectionString: string }
  /** `AzureWebJobsStorage__accountName`, in the public cloud. */
  | { accountName: string; credential: TokenCredential }
  /** `AzureWebJobsStorage__blobServiceUri` and so on. */
  | { blobServiceUri: string; queueServiceUri: string; tableServiceUri: string; credential: TokenCredential };

export interface StorageOptions {
  /** How often the SDK repeats a request that failed; 3 by default. */
  maxRetries?: number;
  /** Called for a row that a list leaves out since it can't be read; a process warning by default. */
  onUnreadableRow?: OnUnreadableRow;
}

/** Azure Storage behind the ports. */
export interface AzureStorage {
  runs: Store;
  documents: Documents;
  files: Files;
  queues: Queues;
  queueLengths: QueueLengths;
  lease: Lease;
  /** Which instances ask a registry for much. */
  sharing: RateSharing;
  /**
   * Makes the tables, containers and queues that are missing; may be called any number of times. For a connection string: in
   * Azure, infra/main.bicep makes them.
   */
  ensureCreated(): Promise<void>;
}

interface Clients {
  blobs: BlobServiceClient;
  queues: QueueServiceClient;
  table(name: string): TableClient;
}

/**
 * Opens nothing: the first request does.
 * @throws ConfigurationError `STORAGE_SETTING_INVALID`
 */
export function createStorage(connection: StorageConnection, options: StorageOptions = {}): AzureStorage {
  const { onUnreadableRow = warnOfRow, maxRetries = 3 } = options;
  const clients = connect(connection, maxRetries);
  const promotions = new TableRows(clients.table('promotions'), onUnreadableRow);
  const runs = new TableRows(clients.table('runs'), onUnreadableRow);
  return {
    runs: tableRunStore(promotions, runs),
    documents: blobDocuments(clients.blobs),
    files: blobFiles(clients.blobs),
    queues: storageQueues(clients.queues),
    queueLengths: storageQueueLengths(clients.queues),
    lease: blobLease(clients.blobs),
    sharing: tableRateSharing(runs),
    async ensureCreated() {
      await Promise.all([
        ...TABLES.map((name) => callStorage(`table ${name}`, () => clients.table(name).createTable())),
        ...CONTAINERS.map((name) =>
          callStorage(`container ${name}`, () => clients.blobs.getContainerClient(name).createIfNotExists()),
        ),
        ...QUEUES.map((name) =>
          callStorage(`queue ${name}`, () => clients.queues.getQueueClient(name).createIfNotExists()),
        ),
      ]);
    },
  };
}

function connect(connection: StorageConnection, maxRetries: number): Clients {
  // The storage SDKs count tries, the tables' SDK counts retries.
  const pipeline = { retryOptions: { maxTries: maxRetries + 1, retryDelayInMs: 500, maxRetryDelayInMs: 10_000 } };
  const tables: TableServiceClientOptions = { retryOptions: { maxRetries, retryDelayInMs: 500 } };
  try {
    if ('connectionString' in connection) {
      const { connectionString } = connection;
      // Azurite speaks HTTP, which the tables' SDK refuses unless told.
      const allowInsecureConnection = /(=http:|Protocol=http;|UseDevelopmentStorage=true)/i.test(
        `${connectionString};`,
      );
      return {
        blobs: BlobServiceClient.fromConnectionString(connectionString, pipeline),
        queues: QueueServiceClient.fromConnectionString(connectionString, pipeline),
        table: (name) =>
          TableClient.fromConnectionString(connectionString, name, { ...tables, allowInsecureConnection }),
      };
    }
    const { credential } = connection;
    const uris = 'accountName' in connection ? urisOf(connection.accountName) : connection;
    return {
      blobs: new BlobServiceClient(uris.blobServiceUri, credential, pipeline),
      queues: new QueueServiceClient(uris.queueServiceUri, credential, pipeline),
      table: (name) => new TableClient(uris.tableServiceUri, name, credential, tables),
    };
  } catch {
    // Not the SDK's error as cause: it may quote the connection string, and so the key.
    throw invalidSetting();
  }
}

function urisOf(account: string): { blobServiceUri: string; queueServiceUri: string; tableServiceUri: string } {
  if (!/^[a-z0-9]{3,24}$/.test(account)) {
    throw invalidSetting();
  }
  const uri = (service: string): string => `https://${account}.${service}.core.windows.net`;
  return { blobServiceUri: uri('blob'), queueServiceUri: uri('queue'), tableServiceUri: uri('table') };
}

function invalidSetting(): ConfigurationError {
  return new ConfigurationError('STORAGE_SETTING_INVALID', 'the settings of the storage account are malformed', {
    remedy:
      'AzureWebJobsStorage is a connection string, or AzureWebJobsStorage__accountName the name of the account ' +
      '(lower-case letters and digits), or AzureWebJobsStorage__blobServiceUri, __queueServiceUri and __tableServiceUri.',
  });
}

function warnOfRow(error: Error): void {
  process.emitWarning(error);
}
