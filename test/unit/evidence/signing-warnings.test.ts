import { beforeEach, describe, expect, test } from '@jest/globals';
import { signingLog, signingWarnings } from '../../../src/evidence/signing-warnings.js';
import { explainReference } from '../../../src/promotions/explain-reference.js';
import { ConfigurationError } from '../../../src/oci/index.js';
import { explanationText } from '../../../src/promotions/explanation-text.js';
import { describeSigner, fixedSigner, loadPemSigner } from '../../../src/signing/index.js';
import { createSelfSignedCertificate } from '../../support/self-signed.js';
import type { Signer, SignerSource } from '../../../src/signing/index.js';
import { rule } from '../../support/rules.fixture.js';
import { newWorld, type World } from '../../support/world.js';

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 10, 30, 12);

function signerUntil(days: number): Signer {
  const notBefore = new Date(START - DAY_MS);
  const { keyPem, certificatePem } = createSelfSignedCertificate({ commonName: 'release', notBefore, days: days + 1 });
  return loadPemSigner({ keyPem, certificateChainPem: certificatePem, keyId: 'keys/key.pem' });
}

const at = (days: number): Date => new Date(START + days * DAY_MS);

describe('the description of a signer', () => {
  test('has its key, algorithm, subject and end', () => {
    expect(describeSigner(signerUntil(100), at(0))).toEqual({
      status: { key: 'keys/key.pem', algorithm: 'ES256', subject: 'CN=release', notAfter: at(100).toISOString() },
      warnings: [],
    });
  });

  test.each<[number, string[]]>([
    [0, []],
    [69, []],
    [70, ['SIGNING_CERTIFICATE_ENDS_SOON']],
    [99.9, ['SIGNING_CERTIFICATE_ENDS_SOON']],
    [100.1, ['SIGNING_CERTIFICATE_EXPIRED']],
  ])('after %d of 100 days: %j', (days, codes) => {
    const { warnings } = describeSigner(signerUntil(100), at(days));
    expect(warnings.map(({ code }) => code)).toEqual(codes);
    for (const { remedy } of warnings) expect(remedy).toContain('certificate create');
  });

  test('warns of a key that expires before its certificate', () => {
    const codes = (expires: Date): string[] =>
      describeSigner({ ...signerUntil(100), expires }, at(0)).warnings.map(({ code }) => code);
    expect(codes(at(30))).toEqual(['SIGNING_KEY_ENDS_SOON']);
    expect(codes(at(31))).toEqual([]);
  });

  test('warns of a newer version of the key without a certificate', () => {
    const { warnings } = describeSigner({ ...signerUntil(100), uncertified: 'https://v/keys/k/2' }, at(0));
    expect(warnings).toMatchObject([{ code: 'SIGNING_KEY_UNCERTIFIED', message: expect.stringContaining('keys/k/2') }]);
  });

  test('warns of a key that cannot be read', async () => {
    const signing: SignerSource = {
      current: () => Promise.reject(new ConfigurationError('KEY_VAULT_DENIED', 'no', { remedy: 'Give it.' })),
    };
    expect(await signingWarnings({ signing, now: () => at(0) })).toEqual([
      { code: 'KEY_VAULT_DENIED', message: 'no', remedy: 'Give it.' },
    ]);
    expect(await signingWarnings({ signing: undefined, now: () => at(0) })).toEqual([]);
  });
});

describe('the log', () => {
  let world: World;
  let nowMs: number;
  beforeEach(() => {
    world = newWorld();
    nowMs = at(80).getTime();
  });
  const instance = (): (() => Promise<string[]>) => {
    const { documents } = world;
    const log = signingLog({ signing: fixedSigner(signerUntil(100)), documents, now: () => new Date(nowMs) });
    return async () => {
      const said: string[] = [];
      await log((text) => void said.push(text));
      return said;
    };
  };

  test('has each warning once a day over all ticks and instances', async () => {
    const [first, second] = [instance(), instance()];
    expect(await first()).toEqual([
      expect.stringMatching(/^SIGNING_CERTIFICATE_ENDS_SOON: .* in 20 days, .*certificate create/),
    ]);
    expect(await second()).toEqual([]);
    for (let hour = 1; hour < 12; hour += 1) {
      nowMs += 3_600_000;
      expect([...(await first()), ...(await second())]).toEqual([]);
    }
    nowMs += 3_600_000;
    expect([...(await second()), ...(await first())]).toHaveLength(1);
  });

  test('is updated once an hour', async () => {
    let looks = 0;
    const signing: SignerSource = {
      current: async () => {
        looks += 1;
        return signerUntil(100);
      },
    };
    const log = signingLog({ signing, documents: world.documents, now: () => new Date(nowMs) });
    for (let minute = 0; minute < 60; minute += 1) {
      await log(() => undefined);
      nowMs += 60_000;
    }
    expect(looks).toBe(1);
  });
});

test('explain warns of the certificate only if a rule signs', async () => {
  const ports = (sign: 'notary'[]): Parameters<typeof explainReference>[0] => {
    const world = newWorld(rule({ sign }));
    return { ...world, signing: fixedSigner(signerUntil(100)), now: () => at(80) };
  };
  const { source } = rule();
  const reference = `${source.registry}/samples/app:v1`;
  const explanation = await explainReference(ports(['notary']), reference);
  expect(explanation.warnings).toMatchObject([{ code: 'SIGNING_CERTIFICATE_ENDS_SOON' }]);
  expect(explanationText(explanation)).toMatch(
    /\nwarning: The signing certificate CN=release expires in 20 days, .*\n {2}Renew it/,
  );
  expect((await explainReference(ports([]), reference)).warnings).toBeUndefined();
});
