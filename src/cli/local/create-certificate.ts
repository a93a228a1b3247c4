import { ConfigurationError, InputError, isRecord } from '../../oci/index.js';
import {
  holdAgainst,
  missingForNotation,
  parseSubject,
  readCertificates,
  requestCertificate,
  selfSign,
  type CertifiedKey,
  type Present,
  type SubjectAttribute,
} from '../../signing/index.js';
import { readOperand, writeOutput } from '../files.js';
import type { Io } from '../io.js';
import { formatResult, resultFormat } from '../output/result.js';
import { operandAt, textOf, type Values, writtenOf } from '../verb.js';
import { openCertifiedKey } from './certified-key.js';
import { parseCount } from '../option-values.js';

const MOST_DAYS = 36_500;
const CERTIFICATE_BYTES = 1024 * 1024;

interface Options {
  subject: SubjectAttribute[];
  days: number;
  csr: boolean;
  output: string;
  renewWithin: number | undefined;
}

function readOptions(values: Values): Options {
  const output = textOf(values, 'output') ?? '-';
  const renewal = writtenOf(values, 'renewWithin');
  const renewWithin = renewal === undefined ? undefined : parseCount(renewal, '--renew-within', 0, MOST_DAYS);
  const csr = values.csr === true;
  if (renewWithin !== undefined && (output === '-' || csr)) {
    throw new InputError('OPTIONS_EXCLUSIVE', '--renew-within needs the file of an existing certificate', {
      remedy: 'Name the file with --output, and omit --csr.',
    });
  }
  const subject = textOf(values, 'subject');
  if (subject === undefined) {
    throw new InputError('OPTION_MISSING', '--subject is missing', {
      remedy: 'Give the subject of the certificate: --subject "C=US, ST=WA, O=Example, CN=release".',
    });
  }
  const days = parseCount(writtenOf(values, 'days') ?? '', '--days', 1, MOST_DAYS);
  return { subject: parseSubject(subject), days, csr, output, renewWithin };
}

/** Compares the certificate in the output file with the key; undefined if there is no file. */
async function present(path: string, key: CertifiedKey, renewDays: number, io: Io): Promise<Present | undefined> {
  const text = await textIn(path, io);
  if (text === undefined) return undefined;
  if (!text.includes('-----BEGIN CERTIFICATE-----')) return { fits: false, why: 'there is no certificate there' };
  return holdAgainst(key.publicKey, readCertificates(text), { renewDays, now: new Date() });
}

async function textIn(path: string, io: Io): Promise<string | undefined> {
  try {
    return Buffer.from(await readOperand(path, CERTIFICATE_BYTES, io)).toString('utf8');
  } catch (error) {
    if (error instanceof InputError && isRecord(error.cause) && error.cause.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Refuses to overwrite a private key. */
async function checkOutput(path: string, io: Io): Promise<void> {
  if (!(await textIn(path, io))?.includes('PRIVATE KEY')) return;
  throw new ConfigurationError('FILE_EXISTS', `${path} holds a private key`, {
    remedy: 'Name another file with --output.',
  });
}

interface Made {
  /** `certificate` or `request`. */
  kind: string;
  created: boolean;
  key: string;
  subject: string;
  /** The end of a certificate (RFC 3339). Absent for a request. */
  notAfter?: string;
  file?: string;
}

/** Makes a certificate or a request for the key of the first operand. */
export async function createCertificate(io: Io, operands: readonly string[], values: Values): Promise<void> {
  const format = resultFormat(values);
  const options = readOptions(values);
  const { output, renewWithin } = options;
  const { id, key } = await openCertifiedKey(operandAt(operands, 0), io);
  const toFile = output !== '-';
  if (toFile) await checkOutput(output, io);
  const found = renewWithin === undefined ? undefined : await present(output, key, renewWithin, io);
  if (found?.fits === true) {
    const { subject, notAfter } = found;
    const kept = {
      kind: 'certificate',
      created: false,
      key: id,
      subject,
      notAfter: notAfter.toISOString(),
      file: output,
    };
    return io.out(format.kind === 'text' ? textOfMade(kept) : formatResult(format, kept));
  }
  if (found !== undefined) io.err(`${output}: ${found.why}\n`);
  const { pem, made } = await make(id, key, options);
  tellMissing(io, options.subject);
  if (!toFile) return io.out(pem);
  await writeOutput(output, Buffer.from(pem));
  const written = { ...made, file: output };
  return io.out(format.kind === 'text' ? textOfMade(written) : formatResult(format, written));
}

async function make(
  id: string,
  key: CertifiedKey,
  { csr, subject, days }: Options,
): Promise<{ pem: string; made: Made }> {
  if (csr) {
    const pem = await requestCertificate(key, subject);
    const name = subject
      .map(({ type, value }) => `${type}=${value}`)
      .toReversed()
      .join(',');
    return { pem, made: { kind: 'request', created: true, key: id, subject: name } };
  }
  const { pem, certificate } = await selfSign(key, subject, { days });
  const notAfter = certificate.x509.validToDate.toISOString();
  return { pem, made: { kind: 'certificate', created: true, key: id, subject: certificate.name, notAfter } };
}

function textOfMade({ kind, created, key, subject, notAfter, file }: Made): string {
  const lines = [
    `${created ? `Created ${kind}` : 'Unchanged'} ${file ?? ''}`,
    `Key: ${key}`,
    `Subject: ${subject}`,
    ...(notAfter === undefined ? [] : [`Valid until: ${notAfter}`]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function tellMissing(io: Io, subject: readonly SubjectAttribute[]): void {
  const missing = missingForNotation(subject);
  if (missing.length === 0) return;
  io.err(
    `Warning: the subject lacks ${missing.join(', ')}: a trust policy of notation can name it by "*" only (C, ST and O are required there)\n`,
  );
}
