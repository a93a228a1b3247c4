import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { identityRegistries } from './azure/azure-registry.js';
import { systemClock } from './azure/clock.js';
import { durableEngines } from './azure/durable-engine.js';
import { managedIdentity, managedIdentityCredentials } from './azure/identity.js';
import { ensureCreated } from './azure/ensure-created.js';
import { createJobRegistries } from './azure/job-registries.js';
import { keyVaultSecrets } from './azure/key-vault-secrets.js';
import { createStorage, storageConnection, type AzureStorage } from './azure/storage.js';
import { readRulesBlob } from './azure/text-blob.js';
import type { StaticPorts } from './functions/activities.js';
import { registerStatus } from './functions/http/status.js';
import { registerBroken } from './functions/register-broken.js';
import { registerFunctions } from './functions/register.js';
import { runningStatus, type RunningStatusPorts } from './functions/http/running-status.js';
import { LoadProblems } from './load-problems.js';
import { createRegistries, type Credentials, type RegistriesOptions, type RegistryClient } from './oci/index.js';
import { isRulesBlob, rulesSource } from './rules-source.js';
import { ORCHESTRATION_VERSION } from './promotions/orchestration-version.js';
import { createStreamingSbomGenerator } from './sbom/index.js';
import { namesSet, readSettings, type Settings } from './settings.js';
import { loadSigner } from './load-signer.js';
import type { SignerSource } from './signing/index.js';
import { VERSION } from './version.js';
import { CALL_BYTES, CALL_MS, TURN_MS } from './transfer/long-step.js';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/**
 * The composition root: reads settings, creates adapters, and returns the functions to register. It finds all problems
 * before any message is consumed; if there is a problem, only `health` and `status` are registered. Transient errors
 * (storage that does not answer, a rules blob that does not exist yet) are no problems: the app is registered, and its
 * messages and runs wait.
 * @returns a function that registers the app with its host
 */
export async function composeApp(environment: Record<string, string | undefined>): Promise<() => void> {
  const { settings, problems: ofSettings } = readSettings(environment);
  const problems = new LoadProblems(ofSettings);
  const identity = { version: VERSION, settings: namesSet(environment) };
  const credential = managedIdentity(identityOptions(settings));
  const storage = await problems.collect('AzureWebJobsStorage', async () => {
    const made = createStorage(storageConnection(settings, credential));
    if (settings.AzureWebJobsStorage !== undefined) await ensureCreated(made);
    return made;
  });
  const rules = rulesSource({
    setting: settings.PROMOTION_RULES,
    root,
    readBlob: readRulesBlob(credential),
    now: Date.now,
  });
  // Rules in the settings or in the package are checked as settings. A rules blob may be created later; events wait for
  // it.
  if (!isRulesBlob(settings.PROMOTION_RULES)) await problems.collect('PROMOTION_RULES', () => rules.load());
  const signing = await loadSigner({ settings, root, credential, now: systemClock }, problems);
  if (storage === undefined || problems.list.length > 0) {
    for (const { setting = '', code, message } of problems.list) console.error(`${code} (${setting}): ${message}`);
    return () => registerBroken(identity, problems.list);
  }
  const ports = portsOf(settings, { storage, rules, signing });
  const asked: RunningStatusPorts = {
    identity,
    registries: signIns(settings),
    rules,
    queues: storage.queueLengths,
    signing,
    now: systemClock,
    paused: settings.PROMOTION_PAUSED,
    store: storage.runs,
  };
  return () => {
    registerFunctions(ports, durableEngines(ORCHESTRATION_VERSION), settings.PROMOTION_SCHEDULE);
    registerStatus(() => runningStatus(asked));
  };
}

function identityOptions(settings: Settings): { clientId?: string } {
  const clientId = settings.AZURE_CLIENT_ID ?? settings.AzureWebJobsStorage__clientId;
  return clientId === undefined ? {} : { clientId };
}

/** The registries of ALLOWED_REGISTRIES that get the app's identity. */
function ofIdentity(settings: Settings): string[] {
  return identityRegistries(settings.ALLOWED_REGISTRIES, {
    named: settings.AZURE_REGISTRIES,
    withPassword: Object.values(settings.JOB_CREDENTIALS).map(({ registry }) => registry),
  });
}

function signIns(settings: Settings): RunningStatusPorts['registries'] {
  const withIdentity = new Set(ofIdentity(settings));
  return settings.ALLOWED_REGISTRIES.map((host) => ({
    host,
    signIn: withIdentity.has(host) ? 'identity' : 'anonymous',
  }));
}

interface Loaded {
  storage: AzureStorage;
  rules: StaticPorts['rules'];
  signing: SignerSource | undefined;
}

function portsOf(settings: Settings, { storage, rules, signing }: Loaded): StaticPorts {
  const credentials = managedIdentityCredentials({ ...identityOptions(settings), registries: ofIdentity(settings) });
  const connect = (signIn: Credentials, referrers: RegistriesOptions['referrers'] = 'auto'): RegistryClient =>
    createRegistries({
      credentials: signIn,
      allowedRegistries: settings.ALLOWED_REGISTRIES,
      lease: storage.lease,
      // A registry that does not answer is not retried here: the step reports it and is called again.
      retry: { unanswered: false },
      ...(signIn === credentials && { sharing: storage.sharing }),
      referrers,
    });
  const registries = connect(credentials);
  return {
    registries,
    listing: registries,
    counted(onRequest) {
      const counted = registries.counted(onRequest);
      return { registries: counted, listing: counted };
    },
    lease: storage.lease,
    store: storage.runs,
    documents: storage.documents,
    files: storage.files,
    queues: storage.queues,
    rules,
    sbom: createStreamingSbomGenerator({ limits: settings.SBOM_LIMITS }),
    signing,
    loginServers: settings.REGISTRY_IDS,
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
    callBounds: {
      ms: CALL_MS,
      turnMs: TURN_MS,
      requests: settings.WALK_REQUESTS,
      bytes: CALL_BYTES,
      largeBlobBytes: settings.COPY_PART_BYTES,
    },
    scheduleRequests: { scan: settings.SCAN_REQUESTS, resync: settings.RESYNC_REQUESTS },
    paused: settings.PROMOTION_PAUSED,
    retentionDays: settings.RUN_RETENTION_DAYS,
    now: systemClock,
  };
}
