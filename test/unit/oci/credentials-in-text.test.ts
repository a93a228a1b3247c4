import { describe, expect, test } from '@jest/globals';
import { hideCredentials, InputError, parseReference, quoted } from '../../../src/oci/index.js';

const PASSWORD = 'S3cretQ9';
const HEX = 'a'.repeat(64);

describe('credentials in a message are left out', () => {
  test.each([
    ['https://admin:S3cretQ9@host/m/x is not there', 'https://***@host/m/x is not there'],
    ['oci://admin:S3cretQ9@host', 'oci://***@host'],
    ['//admin:S3cretQ9@host', '//***@host'],
    ['https://S3cretQ9@host', 'https://***@host'],
    ['"admin:S3cretQ9@localhost:5901" is not a host', '"***@localhost:5901" is not a host'],
    [`admin:S3cretQ9@host/x@sha256:${HEX}`, `***@host/x@sha256:${HEX}`],
    ['resolve flag "admin:S3cretQ9@x:1:2"', 'resolve flag "***@x:1:2"'],
    ['admin:a/S3cretQ9@b+@host/x', '***@host/x'],
    ['"admin:a \\"S3cretQ9@host"', '"***@host"'],
    ['localhost:5901?token=S3cretQ9 is none', 'localhost:5901?*** is none'],
    ['"https://host/x?sig=S3cretQ9&se=1"', '"https://host/x?***"'],
  ])('%s', (text, shown) => {
    const hidden = hideCredentials(text);
    expect(hidden).not.toContain(PASSWORD);
    expect(hidden).toBe(shown);
  });
});

test.each([
  `localhost:5000/a/b:v1@sha256:${HEX}`,
  `resolve "r.azurecr.io/a/b@sha512:${'a'.repeat(128)}" at the destination: HEAD r.azurecr.io/v2/a/b/manifests/v1: 404`,
  'x509.subject: C=US, O=me@example.org',
  'node_modules/@scope/name and git@example.org',
  'https://registry.example.org/@scope/name',
  'Is it there? a=b is not.',
  'read what?',
  'Write it as registry[:port]/repository[:tag][@digest], or <name>{:<tag>|@<digest>}',
])('%s is left as it is', (text) => {
  expect(hideCredentials(text)).toBe(text);
});

test('what is quoted is cut after that, since half a password is one too', () => {
  const long = `https://admin:${PASSWORD.repeat(100)}@host`;
  expect(quoted(long)).toBe('"https://***@host"');
  expect(quoted('a'.repeat(300), 10)).toBe(`"${'a'.repeat(10)}"`);
  expect(() => parseReference(`${long}/a/b:v1`)).toThrow(/^(?!.*S3cret)/s);
});

test('an error has none, whoever made it', () => {
  const error = new InputError('X', 'no https://admin:S3cretQ9@host', {
    details: { problems: ['a: https://admin:S3cretQ9@host', { at: ['admin:S3cretQ9@host'] }], count: 1 },
    remedy: 'ask admin:S3cretQ9@host',
  });
  expect(JSON.stringify([error, error.message, error.remedy, error.stack])).not.toContain(PASSWORD);
  expect(error.details).toEqual({ problems: ['a: https://***@host', { at: ['***@host'] }], count: 1 });
});

test('no text takes longer than its length', () => {
  for (const piece of ['a', ':', '@', '?', '"', '\\"', '//', 'a:b@', '"a ']) {
    const text = piece.repeat(200_000);
    expect(hideCredentials(text).length).toBeLessThanOrEqual(text.length + 3);
  }
});
