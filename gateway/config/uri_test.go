package config

import (
	"strings"
	"testing"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

func TestURIsThatAreReadInMoreThanOneWay(t *testing.T) {
	for _, row := range []struct{ uri, want string }{ // "" if it is refused
		{"file:///a/b.txt", "file:///a/b.txt"},
		{"FILE:///A/b", "file:///A/b"},
		{"HTTPS://Example.COM:8443/A?Q=B#F", "https://example.com:8443/A?Q=B#F"},
		{"weather://Z%C3%BCrich/today", "weather://z\u00fcrich/today"},
		{"memo://Insights", "memo://insights"},
		{"urn:isbn:0451450523", "urn:isbn:0451450523"},
		{"data:text/html;base64,AA//BB==", "data:text/html;base64,AA//BB=="},
		{"docs://search/a%20b%2Fc", "docs://search/a b/c"},
		{"db://t?where=a/../b&c=%64", "db://t?where=a/../b&c=d"},
		{"https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a"}, {"https://127.0.0.1/", "https://127.0.0.1/"}, {"https://a_b.c-d/?", "https://a_b.c-d/?"},
		{"file:///C:/a|b", "file:///C:/a|b"}, {"file:///CD|", "file:///CD|"}, {"config://app:80/#", "config://app:80/#"}, {"config://[::1]:80", "config://[::1]:80"},
		{"file:///a/", "file:///a/"}, {"file:///...", "file:///..."}, {"file:///a;b", "file:///a;b"},

		{"a/b", ""}, {"", ""}, {"file", ""}, {":a", ""}, {"/:a", ""}, {"\u017fmb://a/b", ""}, {"/etc/passwd", ""},
		{"file:///a/../b", ""}, {"file:///a/%2e%2E/b", ""}, {"file:///a/..", ""}, {"file:///./a", ""}, {"file:///..;x/a", ""}, {"a:../b", ""},
		{"file:///a%2f..%2fb", ""}, {"file:///a%252e%252e/b", ""}, {"file:///a%3f/../b", ""}, {"docs://a%2Fb/c", ""}, {"docs://a%2e/../b", ""},
		{"file:////a", ""}, {"file:///a//b", ""}, {"file:///a%2F%2fb", ""}, {"docs:///a//b", ""},
		{`file:///a\..\b`, ""}, {"file:///a%5cb", ""}, {`docs://a\b/c`, ""},
		{"file:/a", ""}, {"file:a", ""}, {"file://localhost/a", ""}, {"file://a", ""}, {"file://", ""},
		{"https:example.com/a", ""}, {"https:/example.com/a", ""}, {"https:///example.com/a", ""}, {"https://example.com", ""},
		{"https://a@example.com/a", ""}, {"https://a%40example.com/a", ""}, {"https://example.com:443/a", ""}, {"http://example.com:80/a", ""}, {"ws://example.com:80/a", ""}, {"https://example.com:/a", ""},
		{"https://example.com:0443/a", ""}, {"https://example.com:65536x/a", ""}, {"http://example.com:/a", ""}, {"config://app:080/a", ""}, {"config://app:", ""},
		{"https://\uff45xample.com/a", ""}, {"https://ex%C2%ADample.com/a", ""}, {"https://ex%61mple.com/a", ""}, {"https://\u212aex.com/a", ""}, {"https://example.com./a", ""}, {"https://xn--example-.com/a", ""},
		{"https://0x7f.1/a", ""}, {"https://2130706433/a", ""}, {"https://127.0.0.01/a", ""}, {"https://127.1/a", ""}, {"https://a.0X/a", ""}, {"https://256.0.0.1/a", ""},
		{"https://[::01]/a", ""}, {"https://[0::1]/a", ""}, {"https://[::1.2.3.4]/a", ""}, {"https://[::1%25a]/a", ""}, {"config://[0::1]/a", ""}, {"config://[::ffff:1.2.3.4]/a", ""}, {"config://[::1/a", "config://[::1/a"},
		{"file:///C|/a", ""}, {"file:///c%7C", ""}, {"file:///c|?a", ""}, {"file://C:/a", ""}, {"a:b ", ""}, {" a:b", ""},
		{"file:///a%", ""}, {"file:///a%0", ""}, {"file:///%zz", ""}, {"file:///a?%", ""},
		{"file:///a%00.txt", ""}, {"file:///a%0ab", ""}, {"file:///a\tb", ""}, {"file:///a?\n", ""},
		{"file:///a%c0%afb", ""}, {"file:///%ff", ""}, {"a:%C2\xa5", ""},
	} {
		got, ok := CanonicalURI(row.uri)
		if got != row.want || ok != (row.want != "") {
			t.Errorf("%q is %q, %v", row.uri, got, ok)
		}
	}
}

func TestResourcePatterns(t *testing.T) {
	for _, p := range []string{
		"*", "htt*", "*://a", "https:*", "https:/*", "https://*", "https://*.example.com", "https://*.example.com:8443/a", "https://*?a", "https://example.com/*", "https://example.com:*/a",
		"HTTPS://Example.com/A?*#", "ws://127.0.0.1:443/", "https://10.0.0.*/a", "https://[::1]/a", "wss://[2001:db8::1]:8443/a/",
		"file:*", "file:/*", "file://*", "file://*/a", "file:///", "file:///*", "file:///C:/a", "file:///*|/a", "file:///..a/.b/...",
		"a:b", "urn:[a]^_~!$&", "data:text/html,a//b*", "memo://*", "memo://a*b", "config://app", "config://app:80", "config://[::1]/a", "docs:/a", "docs://a?b//c",
	} {
		if !canMatch(p) {
			t.Errorf("%q is refused", p)
		}
	}
	for _, p := range []string{
		"", "a", "a/*", ":a", "1:a", "a b:c", "file:///a%20b", "file:///ä", `file:///a\b`, "file:///a/../b", "file:///a/.", "a:../b", "file:///a/..;b", "file:///a/..?b",
		"https:a", "https:/a", "https:///a", "https://example.com", "https://example.com?a", "https://example.com:443/a", "https://*:443", "http://a:80/", "ws://a:80/", "wss://a:443/", "ftp://a:21/", "https://a:0443/", "https://a:/", "https://a:b/",
		"https://a@b/", "https://*@b", "https://a./", "https://-a/", "https://xn--a-.b/", "https://a!b/", "https://1/", "https://0x7f.1/", "https://127.0.0.01/", "https://256.0.0.1/", "https://1.2.3.4.5/", "https://[::01]/", "https://[::*]/", "https://[a/", "https://[::1]a/",
		"file:a", "file:/a", "file://a", "file://localhost/a", "file://", "file:////a", "file:///a//b", "file:///a//*", "file:///C|/a", "file:///C|*",
		"a://b@c", "a://b:", "a://b:01/", "a://[0::1]/", "a:///b//c", "a:/b//c",
	} {
		if canMatch(p) {
			t.Errorf("%q is accepted", p)
		}
	}
}

// A URI that is accepted is judged as a WHATWG URL parser writes it, and is decoded to
// its end.
func FuzzCanonicalURI(f *testing.F) {
	for _, seed := range []string{
		"file:///a/../b", "https://Example.com:443/%2e%2e/a?b#c", "a:b", "file:///a%252fb", "x://%2e%2e/a", "x:/..;a/b", `x://a\b`, "x:?/../",
		"https://example.com:0443/a", "https://\uff45xample.com/a", "https://ex%C2%ADample.com/a", "https://0x7f.1/a", "https://xn--mnchen-3ya.de/a", "https://[2001:db8::1]:8443/a b?'#\"",
		"file:///C|/a", "file:///C:/a|b", "file:\\C:", "config://app:080", "config://@app", "config://[0::1]/", "config://app ", "ht\ttps://a/b", "ws://a:80/", "ftp://a:21/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		got, ok := CanonicalURI(uri)
		if !ok {
			return
		}
		if scheme, _, _ := strings.Cut(uri, ":"); !strings.HasPrefix(got, strings.ToLower(scheme)+":") || encodedTwice.MatchString(got) {
			t.Errorf("%q is %q", uri, got)
		}
		u, err := whatwg.Parse(uri)
		if err != nil {
			return // Its readers refuse it.
		}
		if written, ok := CanonicalURI(u.Href(false)); written != got {
			t.Errorf("%q is %q. It is written %q, which is %q, %v", uri, got, u.Href(false), written, ok)
		}
		if host, _, _ := strings.Cut(strings.TrimPrefix(uri[len(u.Protocol()):], "//"), "/"); special.MatchString(u.Scheme()) && !strings.EqualFold(host, u.Host()) {
			t.Errorf("%q has the host %q, which is written %q", uri, host, u.Host())
		}
	})
}
