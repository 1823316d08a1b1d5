// A browser of the kind that OAuth needs: it keeps cookies, follows redirects,
// reads plain HTML forms and submits them. It runs no scripts.

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

function unescape(text) {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(parseInt(decimal, 10));
    return entities[name] ?? whole;
  });
}

function attributes(tag) {
  const found = {};
  for (const [, name, double, single, bare] of tag.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)) {
    found[name.toLowerCase()] ??= unescape(double ?? single ?? bare ?? '');
  }
  return found;
}

function forms(html) {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, tag, body]) => ({
    ...attributes(tag),
    controls: [...body.matchAll(/<(input|button)\b([^>]*)>/gi)].map(([, element, tag]) => ({
      element: element.toLowerCase(),
      ...attributes(tag),
    })),
  }));
}

// where names a URL without its query, which may hold a code or a state.
export const where = (url) => `${url.origin}${url.pathname}`;

export class Browser {
  // Cookies belong to a host whatever the port, as in every browser.
  #cookies = [];

  #cookieHeader(url) {
    return this.#cookies
      .filter((c) => c.host === url.hostname && (url.pathname === c.path || url.pathname.startsWith(c.path.replace(/\/?$/, '/'))))
      .map((c) => `${c.name}=${c.value}`)
      .join('; ');
  }

  #keepCookies(url, response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...rest] = line.split(';').map((part) => part.trim());
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
      const options = Object.fromEntries(rest.map((part) => [part.split('=')[0].toLowerCase(), part.slice(part.indexOf('=') + 1)]));
      const path = options.path?.startsWith('/') ? options.path : url.pathname.replace(/\/[^/]*$/, '') || '/';
      this.#cookies = this.#cookies.filter((c) => !(c.host === url.hostname && c.name === name && c.path === path));
      const expired = options['max-age'] !== undefined ? Number(options['max-age']) <= 0 : options.expires && Date.parse(options.expires) <= Date.now();
      if (!expired) this.#cookies.push({ host: url.hostname, name, value, path });
    }
  }

  // open goes to a URL and returns the page where the redirects end, or only its
  // URL when that is below stopAt, which nobody needs to serve.
  async open(target, { stopAt, method = 'GET', body, headers = {} } = {}) {
    let url = new URL(target);
    for (let hops = 0; hops < 20; hops++) {
      if (stopAt && where(url) === where(new URL(stopAt))) return { url };
      const cookie = this.#cookieHeader(url);
      const response = await fetch(url, {
        method,
        body,
        redirect: 'manual',
        headers: { accept: 'text/html', 'sec-fetch-dest': 'document', ...headers, ...(cookie && { cookie }) },
      });
      this.#keepCookies(url, response);
      if (response.status < 300 || response.status > 399) {
        const html = await response.text();
        if (!response.ok) throw new Error(`${method} ${where(url)} answered ${response.status}: ${text(html)}`);
        return { url, html, forms: forms(html), referrerPolicy: response.headers.get('referrer-policy') };
      }
      const location = response.headers.get('location');
      if (!location) throw new Error(`${method} ${where(url)} answered ${response.status} without Location`);
      await response.arrayBuffer();
      url = new URL(location, url);
      // 307 and 308 would repeat the form's fields, a password among them, elsewhere.
      if (body && (response.status === 307 || response.status === 308)) throw new Error(`a form was redirected with ${response.status} to ${where(url)}`);
      [method, body, headers] = ['GET', undefined, { 'sec-fetch-site': 'cross-site' }];
    }
    throw new Error(`redirected more than 20 times, at last to ${where(url)}`);
  }

  // submit fills in the first form of the page that has the named fields, and
  // presses its button of the given name and value, if one is named.
  async submit(page, fields, { button, stopAt } = {}) {
    const matches = (f) =>
      Object.keys(fields).every((name) => f.controls.some((c) => c.name === name)) &&
      (!button || f.controls.some((c) => c.name === button.name && c.value === button.value));
    const form = page.forms?.find(matches);
    if (!form) {
      const wanted = [...Object.keys(fields), ...(button ? [`${button.name}=${button.value}`] : [])];
      throw new Error(`${where(page.url)} has no form with ${wanted.join(', ')}: ${text(page.html ?? '')}`);
    }
    if ((form.method ?? 'get').toLowerCase() !== 'post') throw new Error(`the form of ${where(page.url)} is not sent by POST`);
    const values = new URLSearchParams();
    for (const control of form.controls) {
      const pressable = control.element === 'button' || ['submit', 'image', 'reset', 'button'].includes(control.type);
      const unticked = ['checkbox', 'radio'].includes(control.type) && control.checked === undefined;
      if (!control.name || pressable || unticked || control.disabled !== undefined) continue;
      values.append(control.name, fields[control.name] ?? control.value ?? '');
    }
    if (button) values.append(button.name, button.value);
    return this.open(new URL(form.action || page.url, page.url), {
      stopAt,
      method: 'POST',
      body: values,
      headers: {
        'sec-fetch-site': 'same-origin',
        // What browsers send from a page that forbids the referrer.
        origin: page.referrerPolicy === 'no-referrer' ? 'null' : page.url.origin,
      },
    });
  }
}

// text is what a page says, short enough for an error message.
function text(html) {
  return unescape(html.replace(/<(style|script|head)\b[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ')).replace(/\s+/g, ' ').trim().slice(0, 300);
}
