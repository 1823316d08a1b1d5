// Goes the whole way as a public MCP client does, with the TypeScript SDK's own
// OAuth code, once as a public client and once for each kind of client secret:
//
//   node flow.mjs URL USER PASSWORD
//   VESTIBULE_URL=... VESTIBULE_USER=... VESTIBULE_PASSWORD=... node flow.mjs
//
// URL is the MCP endpoint. Each step that worked is one JSON line on standard
// output; the first that did not is one on standard error, and the exit status 1.
// No line holds a code, a token or a secret.

import { auth, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { randomBytes } from 'node:crypto';
import { Browser, where } from './browser.mjs';

const serverURL = process.argv[2] ?? process.env.VESTIBULE_URL;
const username = process.argv[3] ?? process.env.VESTIBULE_USER;
const password = process.argv[4] ?? process.env.VESTIBULE_PASSWORD;

// Nobody listens here: the browser stops before it, as a client that registered
// any free port of the loopback interface would take over.
const redirectURL = 'http://127.0.0.1:9/callback';

// Provider keeps in memory what the SDK asks to be kept.
class Provider {
  redirectUrl = redirectURL;
  #kept = {};

  constructor(authMethod) {
    this.clientMetadata = {
      client_name: `TypeScript SDK (${authMethod})`,
      redirect_uris: [redirectURL],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: authMethod,
    };
  }

  state = () => (this.expectedState = randomBytes(16).toString('base64url'));
  clientInformation = () => this.#kept.client;
  saveClientInformation = (client) => void (this.#kept.client = client);
  tokens = () => this.#kept.tokens;
  saveTokens = (tokens) => void (this.#kept.tokens = tokens);
  codeVerifier = () => this.#kept.verifier;
  saveCodeVerifier = (verifier) => void (this.#kept.verifier = verifier);
  discoveryState = () => this.#kept.discovery;
  saveDiscoveryState = (discovery) => void (this.#kept.discovery = discovery);
  redirectToAuthorization = (url) => void (this.authorizationURL = url);
}

function check(holds, message) {
  if (!holds) throw new Error(message);
}

// visit is what the person does: approve, log in, and arrive at the client with a code.
async function visit(provider) {
  const browser = new Browser();
  const consent = await browser.open(provider.authorizationURL);
  const login = await browser.submit(consent, {}, { button: { name: 'decision', value: 'approve' }, stopAt: redirectURL });
  const arrived = await browser.submit(login, { username, password }, { stopAt: redirectURL });
  check(!arrived.html, `the login ended at ${where(arrived.url)}, not at the client`);
  const answer = arrived.url.searchParams;
  check(!answer.has('error'), `the client was told ${answer.get('error')}: ${answer.get('error_description')}`);
  check(answer.get('state') === provider.expectedState, 'the state is not the one that was sent');
  const { issuer } = provider.discoveryState().authorizationServerMetadata;
  check(answer.get('iss') === issuer, `iss is ${answer.get('iss')}, not the metadata's issuer ${issuer}`);
  check(answer.has('code'), 'no code came back');
  return answer.get('code');
}

function connection(provider) {
  const client = new Client({ name: 'vestibule-flow', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(serverURL), { authProvider: provider });
  return { transport, client };
}

async function forecast(client) {
  const result = await client.callTool({ name: 'get_forecast', arguments: { city: 'Utrecht' } });
  check(!result.isError, 'the tool answered with an error');
  check(result.content?.some((part) => part.type === 'text' && part.text), 'the tool answered with no text');
}

// authenticate adds the client's authentication to a request that the SDK has no function for.
function authenticate({ client_id, client_secret }, method, body, headers) {
  switch (method) {
    case 'none':
      return body.set('client_id', client_id);
    case 'client_secret_post':
      body.set('client_id', client_id);
      return body.set('client_secret', client_secret);
    case 'client_secret_basic': {
      const pair = [client_id, client_secret].map(encodeURIComponent).join(':');
      return headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
    }
  }
}

async function revoke(provider, method) {
  const { revocation_endpoint } = provider.discoveryState().authorizationServerMetadata;
  check(revocation_endpoint, 'the metadata names no revocation_endpoint');
  const body = new URLSearchParams({ token: provider.tokens().refresh_token, token_type_hint: 'refresh_token' });
  const headers = new Headers();
  authenticate(provider.clientInformation(), method, body, headers);
  const response = await fetch(revocation_endpoint, { method: 'POST', body, headers });
  check(response.status === 200, `revocation answered ${response.status}: ${await response.text()}`);
}

// refused sends a request with the access token until it is refused: another
// replica may learn of a revocation a moment later.
async function refused(provider) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const response = await fetch(serverURL, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${provider.tokens().access_token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
    await response.body?.cancel();
    if (response.status === 401) {
      const challenge = response.headers.get('www-authenticate') ?? '';
      check(/^Bearer .*error="invalid_token"/.test(challenge), `the challenge does not say invalid_token: ${challenge}`);
      return;
    }
    check(Date.now() < deadline, `a revoked token still gets ${response.status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function flow(method, step) {
  const provider = new Provider(method);

  const stranger = connection(provider);

  await step('challenge', async () => {
    const failure = await stranger.client.connect(stranger.transport).then(() => undefined, (error) => error);
    check(failure, 'the server let a client in without a token');
    if (!(failure instanceof UnauthorizedError)) throw failure;
    check(provider.authorizationURL, 'the client was not sent to the authorization endpoint');
    const client = provider.clientInformation();
    check(client.token_endpoint_auth_method === method, `registered as ${client.token_endpoint_auth_method}, not ${method}`);
    check(Boolean(client.client_secret) === (method !== 'none'), 'a secret for a public client, or none for a confidential one');
  });

  const code = await step('login', () => visit(provider));

  await step('token', async () => {
    await stranger.transport.finishAuth(code);
    check(provider.tokens().refresh_token, 'no refresh token was issued');
  });

  const { client, transport } = connection(provider);
  await step('connect', () => client.connect(transport));
  await step('list', async () => {
    const { tools } = await client.listTools();
    check(tools.some((tool) => tool.name === 'get_forecast'), 'get_forecast is not among the tools');
  });
  await step('call', () => forecast(client));

  await step('refresh', async () => {
    const before = provider.tokens();
    check((await auth(provider, { serverUrl: serverURL })) === 'AUTHORIZED', 'the refresh token was not accepted');
    const after = provider.tokens();
    check(after.access_token !== before.access_token, 'the access token is the old one');
    check(after.refresh_token !== before.refresh_token, 'the refresh token was not rotated');
  });
  await step('call again', () => forecast(client));

  await step('revoke', async () => {
    await transport.terminateSession();
    await client.close();
    await revoke(provider, method);
  });
  await step('refused', () => refused(provider));
}

function fail(facts) {
  console.error(JSON.stringify(facts));
  process.exit(1);
}

if (!serverURL || !username || !password) fail({ error: 'usage: node flow.mjs URL USER PASSWORD' });

for (const method of ['none', 'client_secret_post', 'client_secret_basic']) {
  await flow(method, async (name, run) => {
    const started = performance.now();
    const bound = setTimeout(() => fail({ client: method, step: name, error: 'took more than 30 seconds' }), 30_000);
    try {
      const result = await run();
      console.log(JSON.stringify({ client: method, step: name, ms: Math.round(performance.now() - started) }));
      return result;
    } catch (error) {
      return fail({ client: method, step: name, error: error.message, ...(error.cause?.message && { cause: error.cause.message }) });
    } finally {
      clearTimeout(bound);
    }
  });
}
