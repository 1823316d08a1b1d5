// Works as a public MCP client that stays connected while what it is connected to is
// replaced, until it is told to end:
//
//   VESTIBULE_TOKEN=... node session.mjs v1|v2 SESSIONS|STATELESS URL
//
// v1 and v2 are the TypeScript SDK's. A request that gets no answer, or 502 or 503, is
// sent again, and a session that is not known any more is begun anew, as MCP has it;
// anything else ends the program with status 1. Lines of JSON say what it did so far,
// after every 20 calls and at the end.

const [sdk, era, serverURL] = process.argv.slice(2);
const token = process.env.VESTIBULE_TOKEN;
if (!['v1', 'v2'].includes(sdk) || !['SESSIONS', 'STATELESS'].includes(era) || !serverURL || !token) {
  console.error('usage: VESTIBULE_TOKEN=... node session.mjs v1|v2 SESSIONS|STATELESS URL');
  process.exit(1);
}

const { Client, StreamableHTTPClientTransport } =
  sdk === 'v2'
    ? await import('@modelcontextprotocol/client')
    : {
        ...(await import('@modelcontextprotocol/sdk/client/index.js')),
        ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      };

// patience is how long a request is sent again, in milliseconds.
const patience = 30_000;
const did = { sdk, era, calls: 0, progress: 0, sessions: 0, again: {} };

let ended = false;
process.on('SIGTERM', () => (ended = true));

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// statusOf is the HTTP status that an error of either SDK speaks of, or undefined if
// there was no answer.
function statusOf(error) {
  for (let e = error; e; e = e.cause) {
    if (Number.isInteger(e.status)) return e.status;
    if (Number.isInteger(e.code) && e.code >= 100 && e.code < 600) return e.code;
  }
  return undefined;
}

// unanswered says whether an error means that no answer came, or not a whole one.
function unanswered(error) {
  for (let e = error; e; e = e.cause) {
    if (/fetch failed|terminated|ECONNRE|EPIPE|other side closed|Connection closed|SSE stream disconnected|timed out/i.test(`${e.code} ${e.message}`)) return true;
  }
  return false;
}

let connected;

async function connect() {
  const client = new Client(
    { name: `vestibule-session-${sdk}`, version: '1.0.0' },
    sdk === 'v2' && era === 'STATELESS' ? { versionNegotiation: { mode: 'auto' } } : {},
  );
  client.onerror = () => {}; // of streams: the SDK opens them again
  const transport = new StreamableHTTPClientTransport(new URL(serverURL), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  await client.connect(transport, { timeout: 10_000 });
  if (Boolean(transport.sessionId) !== (era === 'SESSIONS')) throw new Error(`the session is ${transport.sessionId}`);
  did.sessions++;
  return client;
}

async function call(n) {
  const city = `Utrecht ${n}`;
  const watch = n % 10 === 0;
  const result = await connected.callTool(
    watch ? { name: 'watch_forecast', arguments: { city, count: 3, pauseMs: 20 } } : { name: 'get_forecast', arguments: { city } },
    ...(sdk === 'v1' ? [undefined] : []),
    { timeout: 10_000, ...(watch && { onprogress: () => did.progress++ }) },
  );
  const text = result.content?.map((part) => part.text).join() ?? '';
  if (result.isError || !text.includes(city)) throw new Error(`asked for ${city}, answered ${JSON.stringify(result)}`);
  did.calls++;
}

async function work(n) {
  const begun = Date.now();
  for (;;) {
    try {
      connected ??= await connect();
      return await call(n);
    } catch (error) {
      const status = statusOf(error);
      const gone = status === 404 && connected && era === 'SESSIONS';
      const again = gone || [502, 503].includes(status) || (status === undefined && unanswered(error));
      if (!again || Date.now() - begun > patience) throw error;
      const why = gone ? 'session gone' : String(status ?? 'no answer');
      did.again[why] = (did.again[why] ?? 0) + 1;
      if (gone) {
        await connected.close();
        connected = undefined;
      }
      await sleep(100);
    }
  }
}

try {
  for (let n = 1; !ended; n++) {
    await work(n);
    if (n % 20 === 0) console.log(JSON.stringify(did));
    await sleep(20);
  }
  await connected?.close();
  console.log(JSON.stringify(did));
  process.exit(0);
} catch (error) {
  console.error(JSON.stringify({ ...did, error: `${error.stack}`, cause: error.cause?.message, status: statusOf(error) }));
  process.exit(1);
}
