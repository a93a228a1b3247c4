import { constants, createECDH, createHash, privateEncrypt, randomBytes, type KeyObject } from 'node:crypto';

// Node's own crypto signs messages and hashes them itself; a vault gets the digest.

const ORDERS: Readonly<Record<string, bigint>> = {
  'P-256': 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
};
const CURVES: Readonly<Record<string, string>> = { 'P-256': 'prime256v1' };

/** ECDSA on P-256 over a digest: raw r‖s. @see https://doi.org/10.6028/NIST.FIPS.186-5 */
export function signEcdsa(key: KeyObject, digest: Buffer): Buffer {
  const { crv = '', d = '' } = key.export({ format: 'jwk' });
  const order = ORDERS[crv];
  if (order === undefined) throw new TypeError(`no signatures on ${crv} here`);
  const secret = numberOf(Buffer.from(d, 'base64url'));
  const bytes = 32;
  for (;;) {
    const nonce = numberOf(randomBytes(bytes)) % order;
    if (nonce === 0n) continue;
    const point = createECDH(CURVES[crv] ?? '');
    point.setPrivateKey(bytesOf(nonce, bytes));
    const r = numberOf(point.getPublicKey().subarray(1, 1 + bytes)) % order;
    const s = (power(nonce, order - 2n, order) * ((numberOf(digest) + r * secret) % order)) % order;
    if (r !== 0n && s !== 0n) return Buffer.concat([bytesOf(r, bytes), bytesOf(s, bytes)]);
  }
}

/** What stands before a digest that PKCS #1 v1.5 signs. @see https://www.rfc-editor.org/rfc/rfc8017#section-9.2 */
const DIGEST_INFO: Readonly<Record<string, string>> = {
  '256': '3031300d060960864801650304020105000420',
  '384': '3041300d060960864801650304020205000430',
  '512': '3051300d060960864801650304020305000440',
};

/** RSA over a digest: `PS256`, `RS256` and their like. */
export function signRsa(key: KeyObject, alg: string, digest: Buffer): Buffer {
  const size = alg.slice(2);
  if (alg.startsWith('PS')) return signPss(key, `sha${size}`, digest);
  return privateEncrypt(key, Buffer.concat([Buffer.from(DIGEST_INFO[size] ?? '', 'hex'), digest]));
}

/** RSASSA-PSS over a digest, with a salt as long. @see https://www.rfc-editor.org/rfc/rfc8017#section-9.1.1 */
function signPss(key: KeyObject, hash: string, digest: Buffer): Buffer {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  const length = Math.ceil((bits - 1) / 8);
  const salt = randomBytes(digest.length);
  const hashed = createHash(hash)
    .update(Buffer.concat([Buffer.alloc(8), digest, salt]))
    .digest();
  const block = Buffer.concat([Buffer.alloc(length - salt.length - hashed.length - 2), Buffer.from([1]), salt]);
  const mask = maskOf(hash, hashed, block.length);
  const masked = Buffer.from(block.map((byte, index) => byte ^ (mask[index] ?? 0)));
  masked[0] = (masked[0] ?? 0) & (0xff >> (8 * length - (bits - 1)));
  const encoded = Buffer.concat([masked, hashed, Buffer.from([0xbc])]);
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
}

function maskOf(hash: string, seed: Buffer, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let counter = 0; Buffer.concat(parts).length < length; counter += 1) {
    parts.push(
      createHash(hash)
        .update(Buffer.concat([seed, bytesOf(BigInt(counter), 4)]))
        .digest(),
    );
  }
  return Buffer.concat(parts).subarray(0, length);
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let [square, rest] = [base % modulus, exponent]; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function bytesOf(number: bigint, length: number): Buffer {
  return Buffer.from(number.toString(16).padStart(2 * length, '0'), 'hex');
}
