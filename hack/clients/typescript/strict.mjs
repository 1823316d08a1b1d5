// Goes the whole way with two OAuth libraries that accept nothing a standard does
// not allow, oauth4webapi and openid-client, in each way to authenticate:
//
//   node strict.mjs URL USER PASSWORD
//
// URL is the MCP endpoint. No check of theirs is relaxed but for http, where URL
// is not https. Each step that worked is one JSON line on standard output; the
// first that did not is one on standard error, and the exit status 1. No line
// holds a code, a token or a secret.

import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { Browser } from './browser.mjs';

const [, , serverURL, username, password] = process.argv;
const resource = new URL(serverURL);
// Nobody listens here: the browser stops before it.
const redirectURL = 'http://127.0.0.1:9/callback';
const insecure = resource.protocol === 'http:';
const options = { [oauth.allowInsecureRequests]: insecure };

function check(holds, message) {
  if (!holds) throw new Error(message);
}

// visit is what the person does, up to the client's redirect URI.
async function visit(authorizationURL) {
  const browser = new Browser();
  const consent = await browser.open(authorizationURL);
  const login = await browser.submit(consent, {}, { button: { name: 'decision', value: 'approve' }, stopAt: redirectURL });
  return (await browser.submit(login, { username, password }, { stopAt: redirectURL })).url;
}

// refusal is the error that a promise must end with.
async function refusal(promise, what) {
  const error = await promise.then(() => undefined, (error) => error);
  check(error, `${what} was not refused`);
  return error;
}

async function refused(promise, status, code, what) {
  const error = await refusal(promise, what);
  // ResponseBodyError is what the libraries make of a well-formed error alone.
  if (!(error instanceof oauth.ResponseBodyError)) throw error;
  check(error.status === status && error.error === code, `${what} was answered ${error.status} ${error.error}`);
}

function metadata(name, method) {
  return {
    client_name: `${name} (${method})`,
    redirect_uris: [redirectURL],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: method,
  };
}

const ping = { method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }) };
const headers = () => new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' });

// challenged is what the library reads in the WWW-Authenticate header of a 401.
async function challenged(promise, error) {
  const failure = await refusal(promise, 'a bad token');
  if (!(failure instanceof oauth.WWWAuthenticateChallengeError)) throw failure;
  const [{ scheme, parameters }] = failure.cause;
  check(failure.status === 401 && scheme === 'bearer', `the challenge is ${failure.status} ${scheme}`);
  check(parameters.error === error, `the challenge says ${parameters.error}, not ${error}`);
  return parameters;
}

async function withOauth4webapi(method, step) {
  const { server, prm } = await step('discovery', async () => {
    const { resource_metadata } = await challenged(oauth.protectedResourceRequest('unknown', ping.method, resource, headers(), ping.body, options), 'invalid_token');
    const prm = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, options));
    check((await fetch(resource_metadata).then((r) => r.json())).resource === prm.resource, 'the challenge points at other metadata');
    const issuer = new URL(prm.authorization_servers[0]);
    const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }));
    check(server.authorization_response_iss_parameter_supported, 'the metadata does not promise iss');
    return { server, prm };
  });

  const client = await step('registration', async () => {
    await refused(
      oauth.dynamicClientRegistrationRequest(server, { ...metadata('x', method), redirect_uris: ['http://example.com/'] }, options).then(oauth.processDynamicClientRegistrationResponse),
      400, 'invalid_redirect_uri', 'a redirect URI that is not the client\'s alone');
    return oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(server, metadata('oauth4webapi', method), options));
  });
  const authentication = { none: oauth.None, client_secret_post: oauth.ClientSecretPost, client_secret_basic: oauth.ClientSecretBasic }[method](client.client_secret);

  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const request = async (more) => {
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: client.client_id, redirect_uri: redirectURL, response_type: 'code', state, resource: prm.resource,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...more,
    });
    return url;
  };
  const answer = await step('authorization', async () => {
    const { url } = await new Browser().open(await request({ scope: 'unknown' }), { stopAt: redirectURL });
    const failure = await refusal((async () => oauth.validateAuthResponse(server, client, url, state))(), 'an unknown scope');
    if (!(failure instanceof oauth.AuthorizationResponseError)) throw failure;
    check(failure.error === 'invalid_scope', `an unknown scope is answered ${failure.error}`);
    return oauth.validateAuthResponse(server, client, await visit(await request({})), state);
  });

  const redeem = async (verifier) =>
    oauth.processAuthorizationCodeResponse(server, client,
      await oauth.authorizationCodeGrantRequest(server, client, authentication, answer, redirectURL, verifier, { additionalParameters: { resource: prm.resource }, ...options }));
  const tokens = await step('token', async () => {
    await refused(redeem(oauth.generateRandomCodeVerifier()), 400, 'invalid_grant', 'a wrong verifier');
    return redeem(verifier);
  });
  const call = (token) => oauth.protectedResourceRequest(token, ping.method, resource, headers(), ping.body, options);
  await step('call', async () => check((await call(tokens.access_token)).ok, 'a good token is refused'));

  const renew = async (token, more) =>
    oauth.processRefreshTokenResponse(server, client,
      await oauth.refreshTokenGrantRequest(server, client, authentication, token, { additionalParameters: { resource: prm.resource, ...more }, ...options }));
  const renewed = await step('refresh', async () => {
    await refused(renew(tokens.refresh_token, { scope: 'weather:write unknown' }), 400, 'invalid_scope', 'a wider scope');
    await refused(renew('unknown'), 400, 'invalid_grant', 'an unknown refresh token');
    return renew(tokens.refresh_token);
  });

  await step('revocation', async () => {
    oauth.processRevocationResponse(await oauth.revocationRequest(server, client, authentication, renewed.refresh_token, options));
    await challenged(call(renewed.access_token), 'invalid_token');
    await refused(renew(renewed.refresh_token), 400, 'invalid_grant', 'a revoked refresh token');
    await refused(
      oauth.refreshTokenGrantRequest(server, { client_id: 'unknown' }, oauth.None(), 'unknown', options).then((r) => oauth.processRefreshTokenResponse(server, { client_id: 'unknown' }, r)),
      401, 'invalid_client', 'an unknown client');
  });
}

async function withOpenidClient(method, step) {
  const issuer = new URL(resource.origin);
  const authentication = { none: openid.None, client_secret_post: openid.ClientSecretPost, client_secret_basic: openid.ClientSecretBasic }[method]();
  const config = await step('discovery and registration', async () => {
    const config = await openid.dynamicClientRegistration(issuer, metadata('openid-client', method), authentication,
      { algorithm: 'oauth2', execute: insecure ? [openid.allowInsecureRequests] : [] });
    check(config.serverMetadata().supportsPKCE(), 'the metadata does not promise PKCE');
    return config;
  });

  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const arrived = await step('authorization', async () =>
    visit(openid.buildAuthorizationUrl(config, {
      redirect_uri: redirectURL, state, resource: resource.href,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    })));

  const tokens = await step('token', () =>
    openid.authorizationCodeGrant(config, arrived, { expectedState: state, pkceCodeVerifier: verifier }, { resource: resource.href }));
  const call = (token) => openid.fetchProtectedResource(config, token, resource, ping.method, ping.body, headers());
  await step('call', async () => check((await call(tokens.access_token)).ok, 'a good token is refused'));

  const renewed = await step('refresh', () => openid.refreshTokenGrant(config, tokens.refresh_token, { resource: resource.href }));
  await step('revocation', async () => {
    await openid.tokenRevocation(config, renewed.refresh_token);
    await challenged(call(renewed.access_token), 'invalid_token');
    await refused(openid.refreshTokenGrant(config, renewed.refresh_token), 400, 'invalid_grant', 'a revoked refresh token');
  });
}

function fail(facts) {
  console.error(JSON.stringify(facts));
  process.exit(1);
}

if (!serverURL || !username || !password) fail({ error: 'usage: node strict.mjs URL USER PASSWORD' });

for (const [library, flow] of Object.entries({ oauth4webapi: withOauth4webapi, 'openid-client': withOpenidClient })) {
  for (const method of ['none', 'client_secret_post', 'client_secret_basic']) {
    await flow(method, async (name, run) => {
      const bound = setTimeout(() => fail({ library, method, step: name, error: 'took more than 30 seconds' }), 30_000);
      try {
        const result = await run();
        console.log(JSON.stringify({ library, method, step: name }));
        return result;
      } catch (error) {
        return fail({ library, method, step: name, error: error.message, code: error.code, ...(error.cause?.message && { cause: error.cause.message }) });
      } finally {
        clearTimeout(bound);
      }
    });
  }
}
