import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { identityRegistries } from './azure/azure-registry.js';
import { createDurableEngine } from './azure/durable-engine.js';
import { managedIdentity, managedIdentityCredentials } from './azure/identity.js';
import { createJobRegistries } from './azure/job-registries.js';
import { keyVaultSecrets } from './azure/key-vault-secrets.js';
import { readRulesBlob } from './azure/rules-blob.js';
import { createStorage, type StorageConnection } from './azure/storage.js';
import { registerFunctions } from './functions/register.js';
import {
  COPY_LIMITS,
  ConfigurationError,
  createRegistries,
  type Credentials,
  type RegistriesOptions,
  type RegistryClient,
} from './oci/index.js';
import { isRulesBlob, readText, rulesSource } from './rules-source.js';
import { createStreamingSbomGenerator } from './sbom/index.js';
import { readSettings, type Settings } from './settings.js';
import { loadPemSigner, type Signer } from './signing/index.js';
import { STEP_LIMITS } from './steps/limits.js';

// The composition root: settings -> adapters -> everything registered. What is wrong with the settings fails here, before
// anything is consumed.

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

function identityOptions(settings: Settings): { clientId?: string } {
  const clientId = settings.AZURE_CLIENT_ID ?? settings.AzureWebJobsStorage__clientId;
  return clientId === undefined ? {} : { clientId };
}

function storageConnection(settings: Settings): StorageConnection {
  if (settings.AzureWebJobsStorage !== undefined) return { connectionString: settings.AzureWebJobsStorage };
  const credential = managedIdentity(identityOptions(settings));
  const {
    AzureWebJobsStorage__blobServiceUri: blobServiceUri,
    AzureWebJobsStorage__queueServiceUri: queueServiceUri,
    AzureWebJobsStorage__tableServiceUri: tableServiceUri,
    AzureWebJobsStorage__accountName: accountName,
  } = settings;
  if (blobServiceUri !== undefined && queueServiceUri !== undefined && tableServiceUri !== undefined) {
    return { blobServiceUri, queueServiceUri, tableServiceUri, credential };
  }
  if (accountName !== undefined) return { accountName, credential };
  throw new ConfigurationError('STORAGE_SETTING_MISSING', 'no storage account is set', {
    remedy: 'Set AzureWebJobsStorage, or AzureWebJobsStorage__accountName for an identity (docs/settings.md).',
  });
}

async function readSigner(settings: Settings): Promise<Signer | undefined> {
  const { SIGNING_KEY: key, SIGNING_CERTIFICATE_CHAIN: chain } = settings;
  if (key === undefined) return undefined;
  if (chain === undefined) {
    throw new ConfigurationError(
      'SIGNING_CERTIFICATE_MISSING',
      'SIGNING_KEY is set, SIGNING_CERTIFICATE_CHAIN is not',
      {
        remedy: 'Set SIGNING_CERTIFICATE_CHAIN to the PEM chain of the key, leaf first.',
      },
    );
  }
  if (/^https?:\/\//.test(key)) {
    throw new ConfigurationError(
      'SIGNING_KEY_UNSUPPORTED',
      'SIGNING_KEY is a Key Vault key, which cannot be used yet',
      {
        remedy: 'Set SIGNING_KEY to a PEM file.',
      },
    );
  }
  return loadPemSigner({
    keyPem: await readText(resolve(root, key), 'SIGNING_KEY_UNREADABLE', 'SIGNING_KEY'),
    certificateChainPem: await readText(
      resolve(root, chain),
      'SIGNING_CERTIFICATE_UNREADABLE',
      'SIGNING_CERTIFICATE_CHAIN',
    ),
  });
}

const settings = readSettings(process.env);
const storage = createStorage(storageConnection(settings));
if (settings.AzureWebJobsStorage !== undefined) await storage.ensureCreated();
const credentials = managedIdentityCredentials({
  ...identityOptions(settings),
  registries: identityRegistries(settings.ALLOWED_REGISTRIES, {
    named: settings.AZURE_REGISTRIES,
    withPassword: Object.values(settings.JOB_CREDENTIALS).map(({ registry }) => registry),
  }),
});
const connect = (signIn: Credentials, referrers: RegistriesOptions['referrers'] = 'auto'): RegistryClient =>
  createRegistries({
    credentials: signIn,
    allowedRegistries: settings.ALLOWED_REGISTRIES,
    lease: storage.lease,
    referrers,
  });
const registries = connect(credentials);
const rules = rulesSource({
  setting: settings.PROMOTION_RULES,
  root,
  readBlob: readRulesBlob(managedIdentity(identityOptions(settings))),
  now: Date.now,
});

// Rules that stand in the settings are settings: broken ones fail here. A blob may come later, and events wait for it.
if (!isRulesBlob(settings.PROMOTION_RULES)) await rules.load();

registerFunctions(
  {
    registries,
    listing: registries,
    lease: storage.lease,
    store: storage.runs,
    documents: storage.documents,
    files: storage.files,
    queues: storage.queues,
    rules,
    sbom: createStreamingSbomGenerator(),
    signer: await readSigner(settings),
    jobPolicy: {
      allowedRegistries: settings.ALLOWED_REGISTRIES,
      operations: settings.JOB_OPERATIONS,
      scopes: settings.JOB_SCOPES,
      credentials: settings.JOB_CREDENTIALS,
    },
    jobRegistries: createJobRegistries({
      entries: settings.JOB_CREDENTIALS,
      others: credentials,
      readSecret: keyVaultSecrets(managedIdentity(identityOptions(settings))),
      connect,
    }),
    copyParts: { bytes: settings.COPY_PART_BYTES, nodes: COPY_LIMITS.partNodes },
    stretch: { ms: STEP_LIMITS.stretchMs, requests: settings.WALK_REQUESTS, bytes: STEP_LIMITS.stretchBytes },
    paused: settings.PROMOTION_PAUSED,
    retentionDays: settings.RUN_RETENTION_DAYS,
    now: () => new Date(),
  },
  createDurableEngine,
  settings.PROMOTION_SCHEDULE,
);
