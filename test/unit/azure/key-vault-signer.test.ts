import { beforeEach, describe, expect, test } from '@jest/globals';
import type { HttpClient } from '@azure/core-rest-pipeline';
import type { TokenCredential } from '@azure/identity';
import { keyVaultSigner, type KeyVaultSignerOptions } from '../../../src/azure/key-vault-signer.js';
import { passing, lastsTooLong, BACKOFF } from '../../../src/promotions/backoff.js';
import { PromoterError, type Descriptor } from '../../../src/oci/index.js';
import { signNotary, verifyNotary, type SignerSource } from '../../../src/signing/index.js';
import { ANSWERS } from '../../support/vault/answers.js';
import { httpClientOf, identityOf } from '../../support/vault/sdk.js';
import type { KeyKind, KeyVersion } from '../../support/vault/vault-keys.js';
import { Vault } from '../../support/vault/vault.js';
import { issue, issueAuthority, issueChain, type Issued } from '../../support/certificates.js';
import { shortPauses } from '../../support/short-pauses.js';

const pauses = shortPauses();

const SUBJECT: Descriptor = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${'a'.repeat(64)}`,
  size: 500,
};
const START = Date.UTC(2026, 10, 30);
const MINUTE = 60_000;

let nowMs: number;
let vault: Vault;
let pool: Uint8Array[];

beforeEach(() => {
  nowMs = START;
  vault = new Vault({ now: () => nowMs });
  pool = [];
});

function source(
  options: Partial<KeyVaultSignerOptions> & { httpClient?: HttpClient; name?: string } = {},
): SignerSource {
  const { httpClient = httpClientOf(vault), name = 'signing', ...others } = options;
  return keyVaultSigner({
    key: { vault: vault.url, name },
    credential: identityOf(),
    now: () => new Date(nowMs),
    readCertificates: async () => pool,
    client: { httpClient },
    ...others,
  });
}

/** A self-signed certificate for a key in the vault. */
function certify({ privateKey }: KeyVersion): Issued {
  const issued = issue({ key: privateKey });
  pool.push(issued.der);
  return issued;
}

function certified(kind?: KeyKind): KeyVersion {
  const key = vault.rotate('signing', kind);
  certify(key);
  return key;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PromoterError)) throw new Error(`not refused: ${String(error)}`);
  expect(error.remedy).toBeDefined();
  expect(JSON.stringify(error)).not.toContain('eyJ');
  return error.code;
}

async function signs(signers: SignerSource): Promise<string> {
  const signer = await signers.current();
  const { layer } = await signNotary(SUBJECT, signer, { signingTime: new Date(nowMs) });
  const root = signer.certificates.at(-1) ?? new Uint8Array();
  await verifyNotary({
    envelope: layer.bytes,
    mediaType: layer.mediaType,
    subject: SUBJECT,
    trust: { certificates: [root], identities: ['*'] },
    now: new Date(nowMs),
  });
  return signer.keyId;
}

describe('signing with a key in Key Vault', () => {
  test.each<[KeyKind, string]>([
    ['P-256', 'ES256'],
    ['RSA-2048', 'PS256'],
    ['RSA-3072', 'PS384'],
    ['RSA-4096', 'PS512'],
  ])('%s with %s', async (kind, algorithm) => {
    const key = certified(kind);
    const signers = source();
    expect(await signs(signers)).toBe(key.id);
    expect((await signers.current()).algorithm).toBe(algorithm);
  });

  test('accepts the certificates of a chain in any order', async () => {
    const key = vault.rotate('signing');
    const [leaf, intermediate, root] = issueChain({ key: key.privateKey });
    pool = [root.der, issueAuthority().der, leaf.der, intermediate.der];
    const signers = source();
    await signs(signers);
    expect((await signers.current()).certificates.map((der) => Buffer.from(der))).toEqual(
      [leaf, intermediate, root].map(({ der }) => Buffer.from(der)),
    );
  });

  test('requests a token for the vault’s audience, and caches the signer so that the second signature costs one request', async () => {
    certified();
    const credential = identityOf();
    const signers = source({ credential });
    await signs(signers);
    const before = vault.asked.length;
    await signs(signers);
    expect(vault.asked.slice(before).map(({ method, path }) => `${method} ${path.split('/').at(-1)}`)).toEqual([
      'POST sign',
    ]);
    expect(new Set(credential.scopes)).toEqual(new Set(['https://vault.azure.net/.default']));
  });

  test('uses the renewed one of two certificates for the key', async () => {
    const key = vault.rotate('signing');
    const year = 365 * 86_400_000;
    const old = issue({ key: key.privateKey, notAfter: new Date(START + year / 2) });
    const renewed = issue({ key: key.privateKey, notAfter: new Date(START + 2 * year) });
    pool = [old.der, renewed.der];
    expect(Buffer.from((await source().current()).certificates[0] ?? [])).toEqual(Buffer.from(renewed.der));
  });
});

describe('a rotated key', () => {
  test('signs with its own chain once that exists, and until then the former version signs', async () => {
    const former = certified();
    const signers = source();
    expect(await signs(signers)).toBe(former.id);
    const rotated = vault.rotate('signing');
    nowMs += 6 * MINUTE;
    expect(await signs(signers)).toBe(former.id);
    expect((await signers.current()).uncertified).toBe(rotated.id);
    certify(rotated);
    expect(await signs(signers)).toBe(former.id);
    nowMs += 6 * MINUTE;
    expect(await signs(signers)).toBe(rotated.id);
    expect((await signers.current()).uncertified).toBeUndefined();
  });

  test('does not change a signer that was obtained before', async () => {
    const former = certified();
    const signers = source();
    const taken = await signers.current();
    certify(vault.rotate('signing'));
    nowMs += 6 * MINUTE;
    expect((await signers.current()).keyId).not.toBe(former.id);
    const { layer } = await signNotary(SUBJECT, taken, { signingTime: new Date(nowMs) });
    expect(layer.bytes.length).toBeGreaterThan(0);
    expect(taken.keyId).toBe(former.id);
  });

  test('is not used if the setting names a version', async () => {
    const former = certified();
    certify(vault.rotate('signing'));
    const pinned = source({ key: { vault: vault.url, name: 'signing', version: former.version } });
    expect(await signs(pinned)).toBe(former.id);
  });

  test('is found in a list of versions with several pages', async () => {
    const former = certified();
    for (let count = 0; count < 19; count += 1) vault.rotate('signing');
    expect(await signs(source())).toBe(former.id);
    for (let count = 0; count < 30; count += 1) vault.rotate('signing');
    expect(await codeOf(source().current())).toBe('SIGNING_KEY_MISMATCH');
    // 50 versions: two pages.
    expect(vault.asked.filter(({ path }) => path.endsWith('/versions')).length).toBeGreaterThan(2);
  });

  test('that is disabled is skipped in favour of the former version', async () => {
    const former = certified();
    const rotated = vault.rotate('signing');
    certify(rotated);
    const signers = source();
    expect(await signs(signers)).toBe(rotated.id);
    rotated.enabled = false;
    // After a permanent refusal the next call reads the key again.
    expect(await codeOf(signs(signers))).toBe('SIGNING_KEY_DISABLED');
    expect(await signs(signers)).toBe(former.id);
  });
});

describe('a key that cannot sign', () => {
  test.each<[string, (key: KeyVersion) => void, string]>([
    ['disabled', (key) => (key.enabled = false), 'SIGNING_KEY_DISABLED'],
    ['expired', (key) => (key.expiresMs = START - MINUTE), 'SIGNING_KEY_EXPIRED'],
    ['not yet valid', (key) => (key.notBeforeMs = START + MINUTE), 'SIGNING_KEY_NOT_YET_VALID'],
    ['without the operation sign', (key) => (key.keyOps = ['verify']), 'SIGNING_KEY_CANNOT_SIGN'],
    ['deleted', () => vault.remove('signing'), 'KEY_VAULT_ITEM_UNKNOWN'],
  ])('%s', async (_what, change, code) => {
    const key = certified();
    change(key);
    expect(await codeOf(source().current())).toBe(code);
  });

  test.each<[KeyKind]>([['P-384'], ['P-521'], ['RSA-1024']])('%s is not allowed', async (kind) => {
    const key = vault.rotate('signing', kind);
    pool.push(issue().der);
    expect(key.publicKey.type).toBe('public');
    expect(await codeOf(source().current())).toBe('SIGNING_KEY_INVALID');
  });

  test.each<[string, (key: KeyVersion) => void, string]>([
    ['disabled', (key) => (key.enabled = false), 'SIGNING_KEY_DISABLED'],
    ['without the operation sign', (key) => (key.keyOps = ['verify']), 'SIGNING_KEY_CANNOT_SIGN'],
    ['deleted', () => vault.remove('signing'), 'KEY_VAULT_ITEM_UNKNOWN'],
    ['expired', () => (nowMs += 2 * MINUTE), 'SIGNING_KEY_EXPIRED'],
  ])('%s after it was read', async (_what, change, code) => {
    const key = certified();
    key.expiresMs = START + MINUTE;
    const signer = await source().current();
    change(key);
    expect(await codeOf(signer.sign(Buffer.from('message')))).toBe(code);
  });

  test('a key without a certificate is an error', async () => {
    vault.rotate('signing');
    pool = [issue().der];
    expect(await codeOf(source().current())).toBe('SIGNING_KEY_MISMATCH');
  });

  test('a certificate of Key Vault’s default policy is refused, because Notary does not accept it', async () => {
    const { privateKey: key } = vault.rotate('signing', 'RSA-2048');
    // digitalSignature and keyEncipherment, for servers and clients.
    pool = [issue({ key, keyUsage: 5, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }).der];
    expect(await codeOf(source().current())).toBe('SIGNING_CERTIFICATE_INVALID');
  });
});

describe('errors of Key Vault', () => {
  test('a throttled call with a short pause is repeated at once', async () => {
    certified();
    const signers = source();
    await signers.current();
    vault.faults.push(ANSWERS.throttled(0), ANSWERS.throttled(0));
    await signs(signers);
  });

  test('a throttled call with a long pause makes the step back off for that time', async () => {
    certified();
    const signers = source();
    const signer = await signers.current();
    vault.faults.push(ANSWERS.throttled(40));
    pauses.length = 0;
    const error = await signer.sign(Buffer.from('x')).catch((thrown: unknown) => thrown);
    expect(pauses).toEqual([]);
    expect(error).toMatchObject({ code: 'KEY_VAULT_THROTTLED', transient: true });
    expect(passing(error, 'attachSignature', false)).toMatchObject({
      trouble: { code: 'KEY_VAULT_THROTTLED' },
      retryAfterMs: 40_000,
    });
    await signs(signers);
  });

  test('a throttled first call is not repeated before the pause is over', async () => {
    certified();
    const signers = source();
    vault.faults.push(ANSWERS.throttled(120));
    expect(await codeOf(signers.current())).toBe('KEY_VAULT_THROTTLED');
    const asked = vault.asked.length;
    nowMs += MINUTE;
    expect(await codeOf(signers.current())).toBe('KEY_VAULT_THROTTLED');
    expect(vault.asked).toHaveLength(asked);
    nowMs += 2 * MINUTE;
    await signs(signers);
  });

  test('a role that takes effect after three minutes is waited for, a role that never does becomes an error', async () => {
    certified();
    const readyMs = START + 3 * MINUTE;
    vault.allows = () => nowMs >= readyMs;
    const signers = source();
    const waited: number[] = [];
    for (;;) {
      const error = await signs(signers).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error === undefined) break;
      const passes = passing(error, 'attachSignature', false);
      expect(passes).toMatchObject({ trouble: { code: 'KEY_VAULT_DENIED' }, deadlineMs: BACKOFF.unknownMs });
      const again = {
        count: 1,
        sinceMs: START,
        code: 'KEY_VAULT_DENIED',
        codeSinceMs: START,
        untilMs: START + 86_400_000,
      };
      expect(passes && lastsTooLong(passes, again, nowMs)).toBe(false);
      expect(passes && lastsTooLong(passes, again, START + BACKOFF.unknownMs)).toBe(true);
      waited.push(nowMs - START);
      nowMs += 30_000;
    }
    expect(waited).toHaveLength(6);
  });

  test('a role that only reads cannot sign', async () => {
    certified();
    vault.allows = (action) => action !== 'Microsoft.KeyVault/vaults/keys/sign/action';
    expect(await codeOf(signs(source()))).toBe('KEY_VAULT_DENIED');
  });

  test('a token for another audience or of another tenant is an error', async () => {
    certified();
    const wrong: TokenCredential[] = [
      identityOf(undefined, 'https://management.azure.com'),
      identityOf('22222222-2222-4222-8222-222222222222'),
    ];
    for (const credential of wrong) {
      expect(await codeOf(source({ credential }).current())).toBe('KEY_VAULT_UNAUTHORIZED');
    }
  });

  test.each(['https://evil.example', 'https://management.azure.com', 'https://azure.net.evil.example', 'nonsense'])(
    'a challenge for %s gets no token',
    async (resource) => {
      certified();
      vault.resource = resource;
      const credential = identityOf();
      expect(await codeOf(source({ credential }).current())).toBe('KEY_VAULT_CHALLENGE_REFUSED');
      expect(credential.scopes).toEqual([]);
    },
  );

  test('a list that continues at another host is not followed', async () => {
    certified();
    for (let count = 0; count < 30; count += 1) vault.rotate('signing');
    vault.nextLinkOrigin = 'https://evil.vault.azure.net';
    expect(await codeOf(source().current())).toBe('KEY_VAULT_CHALLENGE_REFUSED');
  });

  test('the firewall is distinguished from a missing role', async () => {
    certified();
    vault.faults.push(ANSWERS.forbiddenByFirewall());
    const signers = source();
    expect(await codeOf(signers.current())).toBe('KEY_VAULT_FIREWALL');
  });

  test('a vault that does not exist or fails for long is retried', async () => {
    const gone: HttpClient = {
      sendRequest: () => Promise.reject(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' })),
    };
    const error = await source({ httpClient: gone })
      .current()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'KEY_VAULT_UNAVAILABLE', transient: true });
    // A name that does not resolve becomes an error in the end.
    expect(passing(error, 'attachSignature', false)).toMatchObject({ deadlineMs: BACKOFF.unknownMs });
    certified();
    vault.faults.push(...Array.from({ length: 3 }, () => ({ status: 503, body: {} })));
    expect(await codeOf(source().current())).toBe('KEY_VAULT_UNAVAILABLE');
    expect(await codeOf(source({ credential: noIdentity() }).current())).toBe('IDENTITY_UNAVAILABLE');
  });

  test('during an outage the current signer stays in use', async () => {
    const key = certified();
    const signers = source();
    await signers.current();
    nowMs += 6 * MINUTE;
    vault.faults.push(...Array.from({ length: 3 }, () => ({ status: 503, body: {} })));
    expect((await signers.current()).keyId).toBe(key.id);
    expect(await signs(signers)).toBe(key.id);
  });

  test('reading certificates has a time limit and is tried again', async () => {
    certified();
    let asked = 0;
    const readCertificates = (): Promise<Uint8Array[]> => {
      asked += 1;
      return asked === 1 ? new Promise(() => {}) : Promise.resolve(pool);
    };
    const signers = source({ readCertificates, loadMs: 2_000 });
    expect(await codeOf(signers.current())).toBe('KEY_VAULT_UNAVAILABLE');
    nowMs += MINUTE;
    await signs(signers);
    expect(asked).toBe(2);
  });

  test('a caller’s signal ends only its own wait', async () => {
    certified();
    const signers = source();
    const stop = new AbortController();
    const [stopped, other] = [signers.current(stop.signal), signers.current()];
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
    expect((await other).algorithm).toBe('ES256');
  });
});

function noIdentity(): TokenCredential {
  return { getToken: () => Promise.reject(Object.assign(new Error('none'), { name: 'CredentialUnavailableError' })) };
}
