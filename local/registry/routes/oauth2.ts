import type { Principal } from '../access/principals.js';
import { unauthorized } from '../access/principals.js';
import { grant, parseScope, formatScope, type Access } from '../access/scope.js';
import type { Call } from '../call.js';
import type { Context, Handler } from '../context.js';
import { readBody, FORM_BYTES } from '../http.js';
import { Refusal } from '../refusal.js';

/** Maximum scopes of one token request. */
const MOST_SCOPES = 100;

/** `POST /oauth2/exchange`: exchanges an Entra token for a refresh token of this registry. */
export const exchange: Handler = async (context, call) => {
  const form = await readForm(call);
  if (form.get('grant_type') !== 'access_token') throw unsupportedGrant(form);
  const principal = await context.principals.byEntraToken(form.get('access_token') ?? '');
  call.subject = principal.subject;
  call.json(200, { refresh_token: await context.tokens.issueRefresh(principal.subject) });
};

/** `POST /oauth2/token`: exchanges a refresh token, or a name and password, for an access token. */
export const postToken: Handler = async (context, call) => {
  const form = await readForm(call);
  const grantType = form.get('grant_type');
  if (grantType === 'refresh_token') {
    const principal = await context.principals.byRefreshToken(form.get('refresh_token') ?? '');
    if (principal === undefined) throw unauthorized('the refresh token is not valid');
    await answer(context, call, form, principal);
    return;
  }
  if (grantType !== 'password') throw unsupportedGrant(form);
  const name = form.get('username') ?? '';
  const principal = name === '' ? undefined : await byPassword(context, name, form.get('password') ?? '');
  await answer(context, call, form, principal);
};

/** `GET /oauth2/token?service=&scope=`, with or without a name and password as Basic. */
export const getToken: Handler = async (context, call) => {
  const [scheme = '', encoded = ''] = (call.request.headers.authorization ?? '').split(' ');
  if (scheme.toLowerCase() !== 'basic') {
    await answer(context, call, call.url.searchParams, undefined);
    return;
  }
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const [name, password] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)];
  // Some clients send an empty name and password for anonymous access.
  const principal = name === '' && password === '' ? undefined : await byPassword(context, name, password);
  await answer(context, call, call.url.searchParams, principal);
};

async function byPassword(context: Context, name: string, password: string): Promise<Principal> {
  const principal = await context.principals.byPassword(name, password);
  if (principal === undefined) throw unauthorized('the user or the password is wrong');
  return principal;
}

async function answer(
  context: Context,
  call: Call,
  parameters: URLSearchParams,
  principal: Principal | undefined,
): Promise<void> {
  const requested = scopesOf(parameters);
  call.scope = requested.map(formatScope).join(' ');
  const { anonymous, anonymousPull } = context.options;
  if (principal === undefined && anonymous !== true && anonymousPull !== true) {
    throw unauthorized('authentication required');
  }
  const subject = principal?.subject ?? 'anonymous';
  call.subject = subject;
  const nobody = anonymous === true ? undefined : [{ repository: '*', actions: ['pull', 'metadata_read'] }];
  const access = grant(requested, principal === undefined ? nobody : principal.grants);
  const offline = parameters.get('offline_token') === 'true' || parameters.get('access_type') === 'offline';
  call.json(200, {
    access_token: await context.tokens.issueAccess(subject, access),
    ...(offline && principal !== undefined && { refresh_token: await context.tokens.issueRefresh(subject) }),
  });
}

/** Scopes may be repeated parameters, and one parameter may hold several, separated by spaces. */
function scopesOf(parameters: URLSearchParams): Access[] {
  const texts = parameters.getAll('scope').flatMap((value) => value.split(' ').filter((text) => text !== ''));
  if (texts.length > MOST_SCOPES) throw new Refusal(400, 'BAD_REQUEST', `at most ${MOST_SCOPES} scopes at once`);
  return texts.map((text) => {
    const scope = parseScope(text);
    if (scope === undefined) throw new Refusal(400, 'BAD_REQUEST', 'a scope is type:name:action,action');
    return scope;
  });
}

async function readForm(call: Call): Promise<URLSearchParams> {
  const bytes = await readBody(call.request, FORM_BYTES);
  return new URLSearchParams(bytes.toString('utf8'));
}

function unsupportedGrant(form: URLSearchParams): Refusal {
  return new Refusal(400, 'BAD_REQUEST', 'unsupported grant_type', { detail: { grant_type: form.get('grant_type') } });
}
