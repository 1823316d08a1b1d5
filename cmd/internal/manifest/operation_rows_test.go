//go:build integration

package manifest_test

import "fmt"

const (
	named             = "spec.oauth.scopes[1]"
	quotas            = "spec.gateway.quotas"
	resourcesFalse    = "oauth.scopes[].resources must be URIs"
	resourcePortFalse = "oauth.scopes[].resources must have no user, no empty port"
	resourceIPFalse   = "oauth.scopes[].resources must write IP addresses as URL libraries write them"
	resourceHostFalse = "oauth.scopes[].resources must have, behind https:// and its like, a host"
	resourceFileFalse = "oauth.scopes[].resources must have a path behind file://"
	methodsFalse      = "oauth.scopes[].methods must be methods of JSON-RPC"
)

// What scopes name, and how much may be asked.
var operationRows = []row{
	{"a scope on demand", edits{named + ".onDemand": true}, ""},
	{"onDemand that is no boolean", edits{named + ".onDemand": "yes"}, "must be of type boolean"},

	{"64 tools", edits{named + ".tools": many(64, texts("set_%d_*"))}, ""},
	{"65 tools", edits{named + ".tools": many(65, texts("set_%d_*"))}, "Too many"},
	{"a tool twice", edits{named + ".tools": []any{"a", "a"}}, "Duplicate value"},
	{"a tool without a name", edits{named + ".tools": []any{""}}, "should be at least 1 chars long"},
	{"a tool of 128 characters", edits{named + ".tools": []any{long(128)}}, ""},
	{"a tool of 129 characters", edits{named + ".tools": []any{long(129)}}, "Too long"},

	{"64 prompts", edits{named + ".prompts": many(64, texts("plan %d"))}, ""},
	{"65 prompts", edits{named + ".prompts": many(65, texts("plan %d"))}, "Too many"},
	{"a prompt twice", edits{named + ".prompts": []any{"a", "a"}}, "Duplicate value"},
	{"a prompt without a name", edits{named + ".prompts": []any{""}}, "should be at least 1 chars long"},
	{"a prompt of 129 characters", edits{named + ".prompts": []any{long(129)}}, "Too long"},

	{"64 resources", edits{named + ".resources": many(64, texts("file:///%d/*"))}, ""},
	{"65 resources", edits{named + ".resources": many(65, texts("file:///%d/*"))}, "Too many"},
	{"a resource twice", edits{named + ".resources": []any{"a:b", "a:b"}}, "Duplicate value"},
	{"a resource of 257 characters", edits{named + ".resources": []any{long(257)}}, "Too long"},
	resource("*", ""), resource("https://example.com/a?b=*#c", ""), resource("file:///..a/.b/...", ""), resource("urn:[a]^_~!$&", ""),
	resource("", resourcesFalse), resource("file:///a b", resourcesFalse), resource("file:///a%20b", resourcesFalse), resource(`file:///a\b`, resourcesFalse),
	resource("file:///ä", resourcesFalse), resource("file:///a/../b", resourcesFalse), resource("file:///a/.", resourcesFalse), resource("file:///a\n", resourcesFalse),
	resource("a", resourcesFalse), resource("a:../b", resourcesFalse), resource("file:///a/..;b", resourcesFalse), resource("docs:///a//b", resourcesFalse), resource("file:////a", resourcesFalse),

	resource("https://*", ""), resource("https://*.Example.com:8443/*", ""), resource("https://127.0.0.1/a", ""), resource("https://10.0.0.*/a", ""), resource("https://[2001:DB8::1]:8443/a", ""),
	resource("file://*", ""), resource("file://*@a:", ""), resource("file:///C:/a", ""), resource("config://app", ""), resource("config://app:80", ""), resource("data:text/html,a//b", ""),
	resource("https://a@example.com/", resourcePortFalse), resource("config://app:", resourcePortFalse), resource("config://app:080/a", resourcePortFalse), resource("https://example.com:0443/a", resourcePortFalse),
	resource("https://example.com:443/a", resourcePortFalse), resource("WS://example.com:80/a", resourcePortFalse), resource("ftp://*:21", resourcePortFalse),
	resource("https://0x7F.1/a", resourceIPFalse), resource("https://127.1/a", resourceIPFalse), resource("https://127.0.0.01/a", resourceIPFalse), resource("https://[0::1]/a", resourceIPFalse), resource("config://[::01]", resourceIPFalse),
	resource("https://example.com", resourceHostFalse), resource("https:/example.com/a", resourceHostFalse), resource("https://example.com./a", resourceHostFalse), resource("https://xn--example-.com/a", resourceHostFalse), resource("https://a!b/", resourceHostFalse), resource("https://[1.2.3.4]/", resourceHostFalse),
	resource("file:a", resourceFileFalse), resource("file:/a", resourceFileFalse), resource("file://localhost/a", resourceFileFalse), resource("file:///C|/a", resourceFileFalse), resource("FILE:///c|", resourceFileFalse),

	{"64 methods", edits{named + ".methods": many(64, texts("tasks/%d"))}, ""},
	{"65 methods", edits{named + ".methods": many(65, texts("tasks/%d"))}, "Too many"},
	{"a method twice", edits{named + ".methods": []any{"a", "a"}}, "Duplicate value"},
	{"a method of 129 characters", edits{named + ".methods": []any{long(129)}}, "Too long"},
	method("logging/setLevel", ""), method("tasks/*", ""), method("own.method-2", ""),
	method("", methodsFalse), method("*", methodsFalse), method("tasks/*/get", methodsFalse), method("tasks/**", methodsFalse), method("a b", methodsFalse), method("a\n", methodsFalse),

	{"all quotas", edits{quotas: object{
		"requestsPerMinutePerUser": 1, "requestsPerMinutePerClient": 100000, "concurrentRequestsPerUser": 1, "concurrentRequestsPerClient": 10000,
	}}, ""},
	quota("requestsPerMinutePerUser", 0, "should be greater than or equal to 1"), quota("requestsPerMinutePerUser", 100001, "should be less than or equal to 100000"),
	quota("requestsPerMinutePerClient", 0, "should be greater than or equal to 1"), quota("requestsPerMinutePerClient", 100001, "should be less than or equal to 100000"),
	quota("concurrentRequestsPerUser", 0, "should be greater than or equal to 1"), quota("concurrentRequestsPerUser", 10001, "should be less than or equal to 10000"),
	quota("concurrentRequestsPerClient", 0, "should be greater than or equal to 1"), quota("concurrentRequestsPerClient", 10001, "should be less than or equal to 10000"),
}

func resource(uri, refused string) row {
	return row{fmt.Sprintf("resource %q", uri), edits{named + ".resources": []any{uri}}, refused}
}

func method(name, refused string) row {
	return row{fmt.Sprintf("method %q", name), edits{named + ".methods": []any{name}}, refused}
}

func quota(name string, n int, refused string) row {
	return row{fmt.Sprintf("%s %d", name, n), edits{quotas: object{name: n}}, refused}
}
