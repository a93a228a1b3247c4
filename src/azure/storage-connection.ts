import type { TokenCredential } from '@azure/identity';
import type { StorageConnection } from './storage.js';
import { ConfigurationError } from '../oci/index.js';

/** The settings that say where the storage account is; the host reads them as well. */
interface StorageSettings {
  AzureWebJobsStorage?: string | undefined;
  AzureWebJobsStorage__blobServiceUri?: string | undefined;
  AzureWebJobsStorage__queueServiceUri?: string | undefined;
  AzureWebJobsStorage__tableServiceUri?: string | undefined;
  AzureWebJobsStorage__accountName?: string | undefined;
}

/** Where the storage account is, as the settings say. @throws ConfigurationError `STORAGE_SETTING_MISSING` */
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
      'Set AzureWebJobsStorage, or AzureWebJobsStorage__accountName for an identity (docs/reference/settings.md).',
  });
}
