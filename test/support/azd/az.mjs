#!/usr/bin/env node
// Stands in for the Azure CLI: the commands of infra/hooks, with the options that the real one has (test/bench/az-commands.test.ts holds
// them against it), and its answers. Whatever else it is asked it refuses. Blobs are those of Azurite.
// FAKE_AZ: {connectionString, account, subscription, tenantId, state}. `state` is a JSON file: {deniedCalls, signedOut}: so many
// first calls for blobs are denied. Each call is noted in `<state>.log`.
import { appendFileSync, readFileSync } from 'node:fs';
import { BlobServiceClient } from '@azure/storage-blob';

const given = JSON.parse(process.env.FAKE_AZ);
const state = JSON.parse(readFileSync(given.state, 'utf8'));

const GLOBAL = ['--output', '--subscription'];
const BLOB = [...GLOBAL, '--account-name', '--auth-mode', '--container-name', '--name'];
const COMMANDS = {
  'account show': { options: GLOBAL, run: accountShow },
  'account get-access-token': { options: [...GLOBAL, '--resource', '--tenant', '--scope'], run: token },
  'storage blob exists': { options: BLOB, run: exists },
  'storage blob download': { options: [...BLOB, '--file'], flags: ['--no-progress'], run: download },
  'storage blob upload': {
    options: [...BLOB, '--file', '--content-type'],
    flags: ['--no-progress', '--overwrite'],
    run: upload,
  },
};

class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

function parse(argv) {
  const words = argv.findIndex((word) => word.startsWith('--'));
  const name = argv.slice(0, words < 0 ? argv.length : words).join(' ');
  const command = COMMANDS[name];
  if (command === undefined) throw new Refusal(2, `ERROR: '${name}' is misspelled or not recognized by the system.`);
  const values = {};
  for (let at = words; at >= 0 && at < argv.length; at += 1) {
    const word = argv[at];
    if (command.flags?.includes(word)) values[word] = true;
    else if (command.options.includes(word) && at + 1 < argv.length) values[word] = argv[(at += 1)];
    else throw new Refusal(2, `ERROR: unrecognized arguments: ${word}`);
  }
  return { name, command, values };
}

function accountShow() {
  return { id: given.subscription, tenantId: given.tenantId, user: { name: 'someone@example.org', type: 'user' } };
}

function token(values) {
  const part = (claims) => Buffer.from(JSON.stringify(claims)).toString('base64url');
  const aud = values['--resource'] ?? values['--scope']?.replace(/\/\.default$/, '');
  const iss = `https://sts.windows.net/${given.tenantId}/`;
  return {
    accessToken: [part({ alg: 'none' }), part({ aud, iss }), ''].join('.'),
    expires_on: Math.floor(Date.now() / 1000) + 3600,
    expiresOn: '2099-01-01 00:00:00.000000',
    tokenType: 'Bearer',
  };
}

function blob(values) {
  if (values['--auth-mode'] !== 'login') throw new Refusal(1, 'ERROR: this account takes no key');
  if (values['--account-name'] !== given.account) throw new Refusal(1, 'ERROR: Failed to resolve the account');
  const calls = readFileSync(`${given.state}.log`, 'utf8').match(/^\["storage","blob"/gm) ?? [];
  if (calls.length <= state.deniedCalls) {
    throw new Refusal(
      1,
      'ERROR: \nYou do not have the required permissions needed to perform this operation.\nDepending on your operation, you may need to be assigned one of the following roles:\n    "Storage Blob Data Owner"\n    "Storage Blob Data Contributor"\n    "Storage Blob Data Reader"\n',
    );
  }
  const service = BlobServiceClient.fromConnectionString(given.connectionString);
  return service.getContainerClient(values['--container-name']).getBlockBlobClient(values['--name']);
}

async function exists(values) {
  return { exists: await blob(values).exists() };
}

async function download(values) {
  await blob(values).downloadToFile(values['--file']);
  return { name: values['--name'] };
}

async function upload(values) {
  const conditions = values['--overwrite'] === true ? {} : { conditions: { ifNoneMatch: '*' } };
  await blob(values).uploadFile(values['--file'], {
    ...conditions,
    blobHTTPHeaders: { blobContentType: values['--content-type'] },
  });
  return { etag: '"0x1"' };
}

appendFileSync(`${given.state}.log`, `${JSON.stringify(process.argv.slice(2))}\n`);
try {
  const { command, values } = parse(process.argv.slice(2));
  if (state.signedOut) throw new Refusal(1, "ERROR: Please run 'az login' to setup account.");
  const subscription = values['--subscription'] ?? given.subscription;
  if (subscription !== given.subscription) {
    throw new Refusal(1, `ERROR: The subscription of '${subscription}' doesn't exist in cloud 'AzureCloud'.`);
  }
  process.stdout.write(`${JSON.stringify(await command.run(values))}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.code === 2 ? 2 : 1;
}
