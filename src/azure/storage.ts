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
const CONTAINERS = ['documents', 'receipts', 'dead-letters', 'layers', 'leases', 'source', 'target'];
const QUEUES: readonly QueueName[] = [
  'registry-events',
  'jobs',
  'schedule',
  'registry-events-poison',
  'jobs-poison',
  'promotion-results',
];

/** How to reach the storage account. */
export type StorageConnection =
  /** Azurite, or an account with shared keys: `AzureWebJobsStorage`. */
  | { connectionString: string }
  /** `AzureWebJobsStorage__accountName`, in the public cloud. */
  | { accountName: string; credential: TokenCredential }
  /** `AzureWebJobsStorage__blobServiceUri` and the others. */
  | { blobServiceUri: string; queueServiceUri: string; tableServiceUri: string; credential: TokenCredential };

/** The settings for the storage account. The Functions host reads them too. */
interface StorageSettings {
  AzureWebJobsStorage?: string | undefined;
  AzureWebJobsStorage__blobServiceUri?: string | undefined;
  AzureWebJobsStorage__queueServiceUri?: string | undefined;
  AzureWebJobsStorage__tableServiceUri?: string | undefined;
  AzureWebJobsStorage__accountName?: string | undefined;
}

/** Finds the storage account in the settings. @throws ConfigurationError `STORAGE_SETTING_MISSING` */
export function storageConnection(settings: StorageSettings, credential: TokenCredential): StorageConnection {
  const {
    AzureWebJobsStorage: connectionString,
    AzureWebJobsStorage__blobServiceUri: blobServiceUri,
    AzureWebJobsStorage__queueServiceUri: queueServiceUri,
    AzureWebJobsStorage__tableServiceUri: tableServiceUri,
    AzureWebJobsStorage__accountName: accountName,
  } = settings;
  if (connectionString !== undefined) return { connectionString };
  if (blobServiceUri !== undefined && queueServiceUri !== undefined && tableServiceUri !== undefined) {
    return { blobServiceUri, queueServiceUri, tableServiceUri, credential };
  }
  if (accountName !== undefined) return { accountName, credential };
  throw new ConfigurationError('STORAGE_SETTING_MISSING', 'no storage account is set', {
    remedy:
      'Set AzureWebJobsStorage, or AzureWebJobsStorage__accountName to use an identity (docs/reference/settings.md).',
  });
}

export interface StorageOptions {
  /** How often the SDK repeats a failed request. Default: 3. */
  maxRetries?: number;
  /** Called for each row that a list skips because it cannot be parsed. Default: a process warning. */
  onUnreadableRow?: OnUnreadableRow;
}

/** The ports that Azure Storage implements. */
export interface AzureStorage {
  runs: Store;
  documents: Documents;
  files: Files;
  queues: Queues;
  queueLengths: QueueLengths;
  lease: Lease;
  /** Tells which instances send a registry many requests, so that they share its rate limit. */
  sharing: RateSharing;
  /**
   * Creates missing tables, containers and queues. May be called any number of times. Needed with a connection string;
   * in Azure, infra/main.bicep creates them.
   */
  ensureCreated(): Promise<void>;
}

interface Clients {
  blobs: BlobServiceClient;
  queues: QueueServiceClient;
  table(name: string): TableClient;
}

/**
 * Makes the clients. The first connection is opened with the first request.
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
  // The storage SDKs count tries, the tables SDK counts retries.
  const pipeline = { retryOptions: { maxTries: maxRetries + 1, retryDelayInMs: 500, maxRetryDelayInMs: 10_000 } };
  const tables: TableServiceClientOptions = { retryOptions: { maxRetries, retryDelayInMs: 500 } };
  try {
    if ('connectionString' in connection) {
      const { connectionString } = connection;
      // Azurite uses HTTP, which the tables SDK refuses by default.
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
    // The SDK's error is not the cause here, because it may quote the connection string with its key.
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
  return new ConfigurationError('STORAGE_SETTING_INVALID', 'the storage account settings are invalid', {
    remedy:
      'Set AzureWebJobsStorage to a connection string, or AzureWebJobsStorage__accountName to the account name ' +
      '(lower-case letters and digits), or AzureWebJobsStorage__blobServiceUri, __queueServiceUri and __tableServiceUri to its endpoints.',
  });
}

function warnOfRow(error: Error): void {
  process.emitWarning(error);
}
