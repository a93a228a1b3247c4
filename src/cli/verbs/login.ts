import type { Command } from 'commander';
import { InputError, isRegistryHost, RegistryError, storeDockerCredential, quoted } from '../../oci/index.js';
import { addConnectionOptions, addDebugOption, connect, connectionOf, readSecret } from '../connection/connection.js';
import { dockerConfigOptions } from '../connection/docker-config.js';
import type { Io } from '../io.js';
import { defineVerb, operandAt, type Values, type VerbContext, type VerbDescription } from '../verb.js';

const VERB: VerbDescription = {
  path: 'login',
  operands: '<registry>',
  purpose: 'the registry to log in to',
  count: 1,
  summary: 'Sign in to a registry: check the credential, and store it in the Docker config',
  examples: [
    ['With a user and a password from standard input', 'acr-promoter login -u name --password-stdin localhost:5000'],
    [
      'With a token of the Azure CLI',
      'az acr login -n myregistry --expose-token --output tsv --query accessToken |\n      acr-promoter login -u 00000000-0000-0000-0000-000000000000 --password-stdin myregistry.azurecr.io',
    ],
    ['With an identity token', 'acr-promoter login --identity-token-stdin localhost:5000'],
    ['Prompt for user and password', 'acr-promoter login localhost:5000'],
  ],
};

interface Given {
  /** Empty if the secret is an identity token. */
  username: string;
  secret: string;
}

async function ask(io: Io, question: string, what: string): Promise<string> {
  io.out(question);
  const answer = (await io.readLine({ hidden: true })) ?? '';
  if (answer !== '') return answer;
  throw new InputError('CREDENTIAL_MISSING', `${what} required`, {
    remedy: 'Give it through standard input (--password-stdin, --identity-token-stdin), or on a terminal.',
  });
}

/** The credential from the options. Prompts for what is missing. */
async function readCredential(io: Io, values: Values): Promise<Given> {
  const options = connectionOf(values, '');
  let { username = '' } = options;
  const secret = await readSecret(options, io);
  if (secret !== undefined) return { username, secret };
  if (username === '') {
    io.out('Username: ');
    username = ((await io.readLine()) ?? '').trim();
    if (username === '') return { username, secret: await ask(io, 'Token: ', 'token') };
  }
  return { username, secret: await ask(io, 'Password: ', 'password') };
}

/** Replaces the remedy to sign in, because this sign-in has just failed. */
function refused(error: RegistryError, registry: string): RegistryError {
  const why = error.code === 'TOKEN_EXPIRED' ? ': the token is wrong or has expired' : '';
  return new RegistryError(`${registry} refuses the credential${why}`, error.info, {
    cause: error,
    code: error.code,
    remedy: 'Check user and password, or the token. A token of az acr login expires after three hours.',
  });
}

export function addLogin(parent: Command, context: VerbContext): void {
  const { io } = context;
  const addOptions = (command: Command): void => void addDebugOption(addConnectionOptions(command, ''));
  defineVerb(parent, context, VERB, addOptions, async (_session, operands, values) => {
    const registry = operandAt(operands, 0);
    const { username, secret } = await readCredential(io, values);
    if (!isRegistryHost(registry)) {
      throw new InputError('REFERENCE_INVALID', `${quoted(registry)} is not a registry host`, {
        remedy: 'Write it as host[:port], without a scheme and without a repository.',
      });
    }
    const { passwordStdin: _, identityToken: __, identityTokenStdin: ___, ...connection } = connectionOf(values, '');
    const client = await connect(registry, { ...connection, username, password: secret }, io);
    try {
      // Only a credential that the registry accepts is stored.
      await client.registry(registry).checkAccess({ signal: io.signal });
    } catch (error) {
      throw error instanceof RegistryError && (error.code === 'UNAUTHORIZED' || error.code === 'TOKEN_EXPIRED')
        ? refused(error, registry)
        : error;
    } finally {
      await client.close();
    }
    await storeDockerCredential(registry, username, secret, dockerConfigOptions(values, io));
    io.out('Login Succeeded\n');
  });
}
