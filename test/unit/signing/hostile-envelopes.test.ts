import { describe, expect, test } from '@jest/globals';
import { Tagged, decode, encode } from 'cborg';
import * as fc from 'fast-check';
import { InconclusiveError } from '../../../src/oci/index.js';
import { verifyNotary } from '../../../src/signing/index.js';
import { issueChain, NOW } from '../../support/certificates.js';
import {
  codeOf,
  COSE,
  errorOf,
  JWS,
  SUBJECT,
  verifyWritten,
  writeCose,
  writeJws,
  type Written,
} from '../../support/envelopes.js';

const chain = issueChain();
const [leaf, intermediate, root] = chain;
const good = writeJws({ chain });

async function codesOfBoth(written: Written): Promise<(string | undefined)[]> {
  const options = { trusted: [root.der] };
  return [
    await codeOf(verifyWritten(writeJws(written).bytes, [], options)),
    await codeOf(verifyWritten(writeCose(written), [], { ...options, mediaType: COSE })),
  ];
}

describe('hostile input', () => {
  test('an envelope that is too large or of another type is not parsed', async () => {
    const large = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');
    expect(await errorOf(verifyWritten(large, chain))).toMatchObject({ code: 'SIGNATURE_TOO_LARGE' });
    const other = await errorOf(verifyWritten(good.bytes, chain, { mediaType: 'text/plain' }));
    expect(other).toMatchObject({ code: 'SIGNATURE_FORMAT_UNSUPPORTED' });
    expect(other).toBeInstanceOf(InconclusiveError);
  });

  test('an endless chain is refused', async () => {
    const long = Array.from({ length: 11 }, () => root);
    expect(await codesOfBoth({ chain: [leaf, ...long] })).toEqual(['SIGNATURE_INVALID', 'SIGNATURE_INVALID']);
  });

  test('invalid certificates, or trailing bytes after one, are refused', async () => {
    const junk = { ...root, der: Buffer.concat([root.der, Buffer.from([0])]) };
    const pem = { ...root, der: Buffer.from(root.pem) };
    for (const bad of [junk, pem, { ...root, der: Buffer.from('x') }]) {
      const codes = await codesOfBoth({ chain: [leaf, intermediate, bad] });
      expect(codes).toEqual(['SIGNATURE_INVALID', 'SIGNATURE_INVALID']);
    }
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['a list', []],
    ['no parts', {}],
    ['an empty signature', { ...good.fields, signature: '' }],
    ['standard base64', { ...good.fields, payload: `${String(good.fields['payload'])}==` }],
    ['no header', { ...good.fields, header: undefined }],
    ['no chain', { ...good.fields, header: {} }],
    ['an empty chain', { ...good.fields, header: { x5c: [] } }],
    ['a chain of numbers', { ...good.fields, header: { x5c: [1] } }],
    ['a header that is no JSON', { ...good.fields, protected: 'AAAA' }],
  ])('an envelope that is %s', async (_what, value) => {
    expect(await codeOf(verifyWritten(Buffer.from(JSON.stringify(value)), chain))).toBe('SIGNATURE_INVALID');
  });

  test.each<[string, Uint8Array]>([
    ['empty', new Uint8Array()],
    ['not tagged', encode([1, 2, 3, 4])],
    [
      'of another tag',
      encode(new Tagged(98, [new Uint8Array([1]), new Map(), new Uint8Array([1]), new Uint8Array([1])])),
    ],
    ['short of a part', encode(new Tagged(18, [new Uint8Array([1]), new Map(), new Uint8Array([1])]))],
    ['nested without end', Buffer.alloc(200_000, 0x81)],
    ['longer than it is', Buffer.from('d29b7fffffffffffffff', 'hex')],
    ['of indefinite length', Buffer.from('d29fffff', 'hex')],
    ['followed by more', Buffer.concat([writeCose({ chain }), Buffer.from([0])])],
  ])('a COSE envelope that is %s', async (_what, bytes) => {
    expect(await codeOf(verifyWritten(bytes, chain, { mediaType: COSE }))).toBe('SIGNATURE_INVALID');
  });

  test('an ambiguous COSE envelope is refused', async () => {
    const bytes = writeCose({ chain });
    const code = (envelope: Uint8Array) => codeOf(verifyWritten(envelope, chain, { mediaType: COSE }));
    expect(await code(bytes)).toBeUndefined();
    const [tag, array] = [bytes.subarray(0, 1), bytes.subarray(2)];
    const indefinite = Buffer.concat([tag, Buffer.from([0x9f]), array, Buffer.from([0xff])]);
    expect(await code(indefinite)).toBe('SIGNATURE_INVALID');
    const tagged = decode(bytes, { useMaps: true, tags: Tagged.preserve(18) }) as Tagged;
    const [header, unprotected, payload, signature] = tagged.value as [
      Uint8Array,
      Map<number, unknown>,
      ...Uint8Array[],
    ];
    const entry = [encode(33), encode(unprotected.get(33))];
    const written = (map: Uint8Array[]) =>
      Buffer.concat([tag, Buffer.from([0x84]), encode(header), ...map, encode(payload), encode(signature)]);
    expect(await code(written([Buffer.from([0xa1]), ...entry]))).toBeUndefined();
    expect(await code(written([Buffer.from([0xa2]), ...entry, ...entry]))).toBe('SIGNATURE_INVALID');
  });

  test('any other bytes are refused with an error code', async () => {
    const trust = { certificates: [root.der], identities: ['*'] };
    const input = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .record({ payload: fc.string(), protected: fc.base64String(), signature: fc.string(), header: fc.object() })
        .map((fields) => Buffer.from(JSON.stringify(fields))),
    );
    await fc.assert(
      fc.asyncProperty(input, fc.constantFrom(JWS, COSE), async (envelope, mediaType) => {
        const code = await codeOf(verifyNotary({ envelope, mediaType, subject: SUBJECT, trust, now: NOW }));
        expect(code).toBe('SIGNATURE_INVALID');
      }),
    );
  });
});
