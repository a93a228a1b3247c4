import dns from 'node:dns';
import { OCI_IMAGE_INDEX } from '../../../src/oci/index.js';
import type { Outcome } from '../../../src/rows/run-row.js';
import type { Fault, FaultProxy, Seen } from './fault-proxy.js';
import { ANSWERS, refusal } from '../../support/vault/answers.js';
import { identityOf } from '../../support/vault/sdk.js';
import type { Scene, VaultScene } from './stage.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const FOR_EVER = Number.POSITIVE_INFINITY;

/** One row of the table: what goes wrong, and what comes of it. */
export interface Row {
  what: string;
  arrange: (scene: Scene) => void | Promise<void>;
  outcome: Outcome;
  code?: string;
  /** By the clock of the play: from, to. */
  tookMs: [number, number];
  /** Calls of the step that was called most often with the same input, at most. */
  calls: number;
  /** It is promoted, and a referrer stays behind. */
  withoutReport?: true;
  /** Where the run's row can't tell. */
  meanwhile?: string;
  /** The registries' access tokens live for three seconds. */
  hasty?: true;
}

/** Requests like `PUT /v2/…/manifests/` have this fault: for so long, so many. */
function answers(
  proxy: FaultProxy,
  request: RegExp | ((seen: Seen) => boolean),
  fault: Fault,
  { forMs = FOR_EVER, times = FOR_EVER, after = 0 }: { forMs?: number; times?: number; after?: number } = {},
): void {
  let seen = 0;
  const before = proxy.fault;
  const matches =
    typeof request === 'function' ? request : ({ method, path }: Seen) => request.test(`${method} ${path}`);
  proxy.fault = (asked) => {
    if (asked.nowMs < forMs && matches(asked)) {
      seen += 1;
      if (seen > after && seen <= after + times) return fault;
    }
    return before(asked);
  };
}

const down = (proxy: FaultProxy, forMs = FOR_EVER): void => {
  proxy.isDown = (nowMs) => nowMs < forMs;
};
const deadline = (scene: Scene, text: string): void => {
  scene.rule = { ...scene.rule, deadline: text };
};
const destinedFor = (scene: Scene, registry: string): void => {
  scene.rule = { ...scene.rule, destination: { reference: `${registry}/staging/{repository}:{tag}` } };
};

const inVault =
  (arrange: (scene: VaultScene) => void): Row['arrange'] =>
  (scene) => {
    scene.inVault = arrange;
  };

const unknownReport = ({ source, graph }: Scene, forMs = FOR_EVER): void =>
  answers(
    source,
    new RegExp(`/manifests/${graph.report.digest}`),
    { status: 404, code: 'MANIFEST_UNKNOWN' },
    { forMs },
  );

const WRITES = /^(POST|PATCH|PUT) \/v2\//;
const UPLOADS = /^(POST|PATCH|PUT) .*\/blobs\/uploads\//;
const READS = /^(GET|HEAD) \/v2\/./;
const BLOBS = /^GET .*\/blobs\//;
const PUT_MANIFEST = /^PUT .*\/manifests\//;
const TOKENS = /^(GET|POST) \/oauth2\//;
const REFERRERS = /^GET .*\/referrers\//;

/** Between the shortest pauses and the longest: a try at the end of the trouble may be a pause late. */
const about = (ms: number): [number, number] => [ms, ms + Math.max(5 * MINUTE, ms / 8) + MINUTE];
const AT_ONCE: [number, number] = [0, SECOND];

/** What passes: the run waits, and goes on. */
export const PASSING: Row[] = [
  {
    what: 'The destination answers 429 once, with `Retry-After: 2`',
    arrange: ({ destination }) =>
      answers(destination, WRITES, { status: 429, code: 'TOOMANYREQUESTS', retryAfter: 2 }, { times: 1 }),
    outcome: 'promoted',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The source answers 429 for an hour, with `Retry-After: 3600`',
    arrange: ({ source }) =>
      answers(source, READS, { status: 429, code: 'TOOMANYREQUESTS', retryAfter: 3600 }, { forMs: HOUR }),
    outcome: 'promoted',
    tookMs: [HOUR, HOUR + MINUTE],
    calls: 2,
  },
  {
    what: 'The destination answers 503 for two hours, with `Retry-After: 7200`',
    arrange: ({ destination }) => answers(destination, WRITES, { status: 503, retryAfter: 7200 }, { forMs: 2 * HOUR }),
    outcome: 'promoted',
    tookMs: [2 * HOUR, 2 * HOUR + MINUTE],
    calls: 2,
  },
  {
    what: 'The destination answers 429 for 23 hours, with `Retry-After: 82800`',
    arrange: ({ destination }) =>
      answers(destination, WRITES, { status: 429, code: 'TOOMANYREQUESTS', retryAfter: 82_800 }, { forMs: 23 * HOUR }),
    outcome: 'promoted',
    tookMs: [23 * HOUR, 23 * HOUR + MINUTE],
    calls: 2,
  },
  {
    what: 'The destination answers 429 for five minutes, without a Retry-After',
    arrange: ({ destination }) =>
      answers(destination, WRITES, { status: 429, code: 'TOOMANYREQUESTS' }, { forMs: 5 * MINUTE }),
    outcome: 'promoted',
    tookMs: about(5 * MINUTE),
    calls: 10,
  },
  {
    what: 'The source answers every tenth read with 500',
    arrange: ({ source }) => {
      let count = 0;
      answers(source, ({ method, path }) => READS.test(`${method} ${path}`) && count++ % 10 === 9, { status: 500 });
    },
    outcome: 'promoted',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The source answers 500 for ten minutes',
    arrange: ({ source }) => answers(source, READS, { status: 500 }, { forMs: 10 * MINUTE }),
    outcome: 'promoted',
    tookMs: about(10 * MINUTE),
    calls: 12,
  },
  {
    what: 'The source refuses connections for an hour',
    arrange: ({ source }) => down(source, HOUR),
    outcome: 'promoted',
    tookMs: about(HOUR),
    calls: 22,
  },
  {
    what: 'The destination refuses connections for an hour',
    arrange: ({ destination }) => down(destination, HOUR),
    outcome: 'promoted',
    tookMs: about(HOUR),
    calls: 22,
  },
  {
    what: 'The destination goes down in the middle of the copy, for an hour',
    arrange: ({ destination }) => {
      let writes = 0;
      answers(
        destination,
        ({ method, path, nowMs }) => {
          if (WRITES.test(`${method} ${path}`)) writes += 1;
          return writes > 6 && nowMs < HOUR;
        },
        'reset',
      );
    },
    outcome: 'promoted',
    tookMs: about(HOUR),
    calls: 22,
  },
  {
    what: 'The destination breaks every connection for ten minutes',
    arrange: ({ destination }) => answers(destination, /./, 'reset', { forMs: 10 * MINUTE }),
    outcome: 'promoted',
    tookMs: about(10 * MINUTE),
    calls: 12,
  },
  {
    what: 'The source breaks off each layer’s first download',
    arrange: ({ source }) => answers(source, BLOBS, 'reset', { times: 2 }),
    outcome: 'promoted',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The source’s token service answers 503 for twenty minutes',
    arrange: ({ source }) => answers(source, TOKENS, { status: 503 }, { forMs: 20 * MINUTE }),
    outcome: 'promoted',
    tookMs: about(20 * MINUTE),
    calls: 14,
  },
  {
    what: 'The destination’s token service answers 503 for twenty minutes',
    arrange: ({ destination }) => answers(destination, TOKENS, { status: 503 }, { forMs: 20 * MINUTE }),
    outcome: 'promoted',
    tookMs: about(20 * MINUTE),
    calls: 14,
  },
  {
    what: 'The managed identity’s endpoint refuses connections for a minute',
    arrange: (scene) => {
      scene.asIdentity = true;
      down(scene.identity, MINUTE);
    },
    outcome: 'promoted',
    tookMs: about(MINUTE),
    calls: 8,
  },
  {
    what: 'The app’s role on the signing key arrives after three minutes',
    arrange: inVault(({ vault, nowMs }) => {
      vault.allows = () => nowMs() >= 3 * MINUTE;
    }),
    outcome: 'promoted',
    tookMs: about(3 * MINUTE),
    calls: 9,
  },
  {
    what: 'Key Vault answers 429 for five minutes, with `Retry-After: 300`',
    arrange: inVault(({ vault, nowMs }) => {
      vault.trouble = () => (nowMs() < 5 * MINUTE ? ANSWERS.throttled(300) : undefined);
    }),
    outcome: 'promoted',
    tookMs: about(5 * MINUTE),
    calls: 3,
  },
  {
    what: 'Key Vault answers 429 once while it signs, with `Retry-After: 1`',
    arrange: inVault(({ vault }) => {
      let signs = 0;
      const { allows } = vault;
      vault.allows = (action) => {
        // The first signature; its repetition passes.
        if (action.endsWith('/sign/action') && (signs += 1) === 1) vault.faults.push(ANSWERS.throttled(1));
        return allows(action);
      };
    }),
    outcome: 'promoted',
    tookMs: AT_ONCE,
    calls: 2,
  },
  {
    what: 'Key Vault answers 503 for ten minutes',
    arrange: inVault(({ vault, nowMs }) => {
      vault.trouble = () => (nowMs() < 10 * MINUTE ? refusal(503, 'ServiceUnavailable', 'busy') : undefined);
    }),
    outcome: 'promoted',
    tookMs: about(10 * MINUTE),
    calls: 12,
  },
  {
    what: 'The signing key was rotated, and its new version has no certificate yet',
    arrange: inVault(({ vault }) => void vault.rotate('signing')),
    outcome: 'promoted',
    tookMs: AT_ONCE,
    calls: 1,
    meanwhile: 'nothing: the former version signs, with its own chain',
  },
  {
    what: 'The app’s storage does not answer for half an hour',
    arrange: (scene) => {
      scene.storageDown = (nowMs) => nowMs < 30 * MINUTE;
    },
    outcome: 'promoted',
    tookMs: about(30 * MINUTE),
    calls: 16,
    meanwhile: 'nothing: its row is there too. The log has `STORAGE_UNAVAILABLE`',
  },
  {
    what: 'The source does not know one image of an index for five minutes (late replica)',
    arrange: ({ source, graph }) =>
      answers(
        source,
        new RegExp(`/manifests/${graph.amd64.digest}`),
        { status: 404, code: 'MANIFEST_UNKNOWN' },
        { forMs: 5 * MINUTE },
      ),
    outcome: 'promoted',
    tookMs: about(5 * MINUTE),
    calls: 10,
  },
  {
    what: 'The source does not know its layers for five minutes',
    arrange: ({ source }) => answers(source, BLOBS, { status: 404, code: 'BLOB_UNKNOWN' }, { forMs: 5 * MINUTE }),
    outcome: 'promoted',
    tookMs: about(5 * MINUTE),
    calls: 10,
  },
  {
    what: 'The source lists a referrer that it does not know for a minute',
    arrange: (scene) => unknownReport(scene, MINUTE),
    outcome: 'promoted',
    tookMs: [MINUTE, 3 * MINUTE],
    calls: 8,
  },
  {
    what: 'The source lists a referrer that it never knows',
    arrange: (scene) => unknownReport(scene),
    outcome: 'promoted',
    tookMs: [2 * MINUTE, 5 * MINUTE],
    calls: 9,
    withoutReport: true,
  },
  {
    what: 'The destination answers `MANIFEST_BLOB_UNKNOWN` to new content for five minutes',
    arrange: ({ destination }) =>
      answers(destination, PUT_MANIFEST, { status: 400, code: 'MANIFEST_BLOB_UNKNOWN' }, { forMs: 5 * MINUTE }),
    outcome: 'promoted',
    tookMs: about(5 * MINUTE),
    calls: 10,
  },
  {
    what: 'Access tokens expire in the middle of an upload (401)',
    arrange: (scene) => {
      scene.client = { uploads: { monolithicBytes: 100, chunkBytes: 1024 * 1024 } };
      answers(scene.destination, /^(PATCH|PUT) .*\/blobs\/uploads\//, { delayMs: 3_500 }, { times: 2 });
    },
    hasty: true,
    outcome: 'promoted',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'Another run holds the leases for twenty minutes',
    arrange: (scene) => {
      scene.leaseHeldUntilMs = 20 * MINUTE;
    },
    outcome: 'promoted',
    tookMs: about(20 * MINUTE),
    calls: 120,
    meanwhile: 'its step waits',
  },
];

/** What doesn't pass: the run ends, at once or when its time is up. */
export const FOR_GOOD: Row[] = [
  {
    what: 'The signing key is disabled',
    arrange: inVault(({ key }) => {
      key.enabled = false;
    }),
    outcome: 'failed',
    code: 'SIGNING_KEY_DISABLED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The app never gets its role on the signing key',
    arrange: inVault(({ vault }) => {
      vault.allows = () => false;
    }),
    outcome: 'failed',
    code: 'KEY_VAULT_DENIED',
    tookMs: about(15 * MINUTE),
    calls: 12,
  },
  {
    what: 'The identity’s token is for another service than Key Vault',
    arrange: inVault((scene) => {
      scene.identity = identityOf(undefined, 'https://management.azure.com');
    }),
    outcome: 'failed',
    code: 'KEY_VAULT_UNAUTHORIZED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'A server under the vault’s name asks for another service’s token',
    arrange: inVault(({ vault }) => {
      vault.resource = 'https://vault.example';
    }),
    outcome: 'failed',
    code: 'KEY_VAULT_CHALLENGE_REFUSED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The vault’s firewall refuses the app',
    arrange: inVault(({ vault }) => {
      vault.trouble = () => ANSWERS.forbiddenByFirewall();
    }),
    outcome: 'failed',
    code: 'KEY_VAULT_FIREWALL',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The source refuses every token, fresh ones too: 401',
    arrange: ({ source }) => answers(source, READS, { status: 401, code: 'UNAUTHORIZED', challenge: true }),
    outcome: 'failed',
    code: 'UNAUTHORIZED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination’s token service refuses the credential: 401',
    arrange: ({ destination }) => answers(destination, TOKENS, { status: 401, code: 'UNAUTHORIZED' }),
    outcome: 'failed',
    code: 'UNAUTHORIZED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The source may not be read: 403',
    arrange: ({ source }) => answers(source, READS, { status: 403, code: 'DENIED' }),
    outcome: 'failed',
    code: 'DENIED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The source may not be written: 403',
    arrange: ({ source }) => answers(source, WRITES, { status: 403, code: 'DENIED' }),
    outcome: 'failed',
    code: 'SOURCE_NOT_WRITABLE',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination may not be written: 403',
    arrange: ({ destination }) => answers(destination, WRITES, { status: 403, code: 'DENIED' }),
    outcome: 'failed',
    code: 'DENIED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination repository is missing and may not be created: 404',
    arrange: ({ destination }) => answers(destination, UPLOADS, { status: 404, code: 'NAME_UNKNOWN' }),
    outcome: 'failed',
    code: 'NAME_UNKNOWN',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination refuses the repository name: 400',
    arrange: ({ destination }) => answers(destination, WRITES, { status: 400, code: 'NAME_INVALID' }),
    outcome: 'failed',
    code: 'NAME_INVALID',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination refuses the media type: 415',
    arrange: ({ destination }) => answers(destination, PUT_MANIFEST, { status: 415 }),
    outcome: 'failed',
    code: 'HTTP_415',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination refuses the manifest: 400 `MANIFEST_INVALID`',
    arrange: ({ destination }) => answers(destination, PUT_MANIFEST, { status: 400, code: 'MANIFEST_INVALID' }),
    outcome: 'failed',
    code: 'MANIFEST_INVALID',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination has no room left: 507',
    arrange: ({ destination }) => answers(destination, UPLOADS, { status: 507 }),
    outcome: 'failed',
    code: 'HTTP_507',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination’s quota is used up: 403',
    arrange: ({ destination }) =>
      answers(destination, UPLOADS, { status: 403, code: 'DENIED', message: 'the storage quota is exceeded' }),
    outcome: 'failed',
    code: 'DENIED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination tag is locked: 405',
    arrange: ({ destination }) =>
      answers(destination, /^PUT .*\/manifests\/v1$/, { status: 405, code: 'REGISTRY_DISALLOWED_OPERATION' }),
    outcome: 'refused',
    code: 'DESTINATION_LOCKED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'A layer at the source does not match its digest',
    arrange: ({ source }) => answers(source, BLOBS, 'corrupt'),
    outcome: 'failed',
    code: 'DIGEST_MISMATCH',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'A manifest at the source does not match its digest',
    arrange: ({ source, graph }) => answers(source, new RegExp(`^GET .*/manifests/${graph.amd64.digest}`), 'corrupt'),
    outcome: 'failed',
    code: 'DIGEST_MISMATCH',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The source’s referrers may not be listed: 403',
    arrange: ({ source }) => answers(source, REFERRERS, { status: 403, code: 'DENIED' }),
    outcome: 'failed',
    code: 'DENIED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination’s certificate is not trusted',
    arrange: (scene) => {
      scene.client = { plainHttp: (host) => !host.startsWith('localhost') };
      destinedFor(scene, `localhost:${scene.tlsPort}`);
    },
    outcome: 'failed',
    code: 'CONNECT_FAILED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination speaks plain HTTP',
    arrange: (scene) => {
      scene.client = { plainHttp: (host) => !host.startsWith('localhost') };
      destinedFor(scene, `localhost:${scene.destination.authority.split(':')[1] ?? ''}`);
    },
    outcome: 'failed',
    code: 'CONNECT_FAILED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination is not in `ALLOWED_REGISTRIES`',
    arrange: (scene) => destinedFor(scene, 'elsewhere.example'),
    outcome: 'refused',
    code: 'REGISTRY_NOT_ALLOWED',
    tookMs: AT_ONCE,
    calls: 1,
  },
  {
    what: 'The destination’s host has no address',
    arrange: (scene) => destinedFor(scene, 'nowhere.invalid'),
    outcome: 'failed',
    code: 'CONNECT_FAILED',
    tookMs: about(15 * MINUTE),
    calls: 13,
  },
  {
    what: 'The source never knows one of the index’s images',
    arrange: ({ source, graph }) =>
      answers(source, new RegExp(`/manifests/${graph.amd64.digest}`), { status: 404, code: 'MANIFEST_UNKNOWN' }),
    outcome: 'failed',
    code: 'SOURCE_GONE',
    tookMs: about(15 * MINUTE),
    calls: 13,
  },
  {
    what: 'The source tag vanishes during the run',
    arrange: ({ source }) => {
      let writing = false;
      answers(
        source,
        ({ method, path }) => {
          writing ||= method === 'POST';
          return writing && path.endsWith('/manifests/v1');
        },
        { status: 404, code: 'MANIFEST_UNKNOWN' },
      );
    },
    outcome: 'failed',
    code: 'SOURCE_GONE',
    tookMs: about(15 * MINUTE),
    calls: 13,
  },
  {
    what: 'The destination never lists its referrers; `deadline: 10s`',
    arrange: (scene) => {
      deadline(scene, '10s');
      const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [] });
      answers(scene.destination, REFERRERS, { status: 200, body });
    },
    outcome: 'failed',
    code: 'REFERRER_LOST',
    tookMs: [10 * SECOND, 12 * SECOND],
    calls: 5,
  },
  {
    what: 'The destination stays down; `deadline: 2h`',
    arrange: (scene) => {
      deadline(scene, '2h');
      down(scene.destination);
    },
    outcome: 'failed',
    code: 'CONNECT_FAILED',
    tookMs: [2 * HOUR, 2 * HOUR + MINUTE],
    calls: 32,
  },
  {
    what: 'The source stays down; default deadline',
    arrange: ({ source }) => down(source),
    outcome: 'failed',
    code: 'CONNECT_FAILED',
    tookMs: [24 * HOUR, 24 * HOUR + MINUTE],
    calls: 130,
  },
  {
    what: 'The destination answers 429 with `Retry-After: 86400`; `deadline: 1h`',
    arrange: (scene) => {
      deadline(scene, '1h');
      answers(scene.destination, WRITES, { status: 429, code: 'TOOMANYREQUESTS', retryAfter: 86_400 });
    },
    outcome: 'failed',
    code: 'TOOMANYREQUESTS',
    tookMs: [HOUR, HOUR + MINUTE],
    calls: 2,
  },
  {
    what: 'Another run keeps the leases; `deadline: 1h`',
    arrange: (scene) => {
      deadline(scene, '1h');
      scene.leaseHeldUntilMs = FOR_EVER;
    },
    outcome: 'failed',
    code: 'STEP_BUSY',
    tookMs: [HOUR, HOUR + MINUTE],
    calls: 200,
  },
];

/** The name server of the play: it knows no `.invalid`, with a network and without. */
export function withoutInvalidNames(): () => void {
  const { lookup } = dns;
  dns.lookup = ((name: string, ...rest: unknown[]) => {
    if (!name.endsWith('.invalid')) return Reflect.apply(lookup, dns, [name, ...rest]);
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND', hostname: name });
    const answer = rest.at(-1);
    if (typeof answer === 'function') setImmediate(() => void Reflect.apply(answer, undefined, [error]));
    return undefined;
  }) as typeof lookup;
  return () => {
    dns.lookup = lookup;
  };
}
