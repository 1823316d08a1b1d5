package operations

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/jsonrpc"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

var scopes = []config.Scope{
	{Name: "read", Tools: []string{"get_*"}, Resources: []string{"file:///public/*"}, Prompts: []string{"help"}},
	{Name: "write", Tools: []string{"get_*", "set_*"}, Methods: []string{"logging/setLevel", "tasks/*"}},
	{Name: "admin", Tools: []string{"*_*"}, Resources: []string{"file:///public/*", "file:///secret/*"}, Prompts: []string{"help", "reset"}, Methods: []string{"prompts/*"}},
	{Name: "plain"},
}

func TestMissing(t *testing.T) {
	tool := func(name string) jsonrpc.Call { return jsonrpc.Call{Method: jsonrpc.CallTool, Name: name} }
	for _, row := range []struct {
		name    string
		deny    bool
		calls   []jsonrpc.Call
		held    string
		missing string
		err     error
	}{
		{"nothing asked", true, nil, "", "", nil},
		{"an answer", true, []jsonrpc.Call{{}}, "", "", nil},
		{"a method that nobody names", true, []jsonrpc.Call{{Method: "initialize"}}, "", "", nil},
		{"a tool that nobody names", false, []jsonrpc.Call{tool("ping")}, "", "", nil},
		{"and it is denied", true, []jsonrpc.Call{tool("ping")}, "read write admin plain", "", ErrUnlisted},
		{"a tool that is named is not", true, []jsonrpc.Call{tool("get_a")}, "read", "", nil},
		{"of three that would do, the first", false, []jsonrpc.Call{tool("get_a")}, "plain", "read", nil},
		{"any of them does: the first", false, []jsonrpc.Call{tool("get_a")}, "read", "", nil},
		{"any of them does: the second", false, []jsonrpc.Call{tool("get_a")}, "plain write", "", nil},
		{"any of them does: the last", false, []jsonrpc.Call{tool("get_a")}, "admin", "", nil},
		{"another does not", false, []jsonrpc.Call{tool("set_a")}, "read", "write", nil},
		{"capitals count", false, []jsonrpc.Call{tool("Get_a")}, "read", "admin", nil},
		{"each call of a batch", false, []jsonrpc.Call{tool("get_a"), tool("ping"), tool("set_a"), tool("del_a"), tool("set_b")}, "read", "write admin", nil},
		{"denied in a batch", true, []jsonrpc.Call{tool("get_a"), tool("ping")}, "read", "", ErrUnlisted},
		{"a prompt", false, []jsonrpc.Call{{Method: jsonrpc.GetPrompt, Name: "help"}}, "admin", "", nil},
		{"a prompt and its method, one of each", false, []jsonrpc.Call{{Method: jsonrpc.GetPrompt, Name: "help"}}, "", "admin read", nil},
		{"a scope for what is named is none for the method", false, []jsonrpc.Call{{Method: jsonrpc.GetPrompt, Name: "help"}}, "read", "admin", nil},
		{"prompts are no tools", true, []jsonrpc.Call{{Method: jsonrpc.GetPrompt, Name: "get_a"}}, "admin", "", nil},
		{"a method", false, []jsonrpc.Call{{Method: "logging/setLevel"}}, "read", "write", nil},
		{"a method that goes on", false, []jsonrpc.Call{{Method: "logging/setLevels"}}, "read", "", nil},
		{"methods that begin so", false, []jsonrpc.Call{{Method: "tasks/cancel"}}, "read", "write", nil},
		{"a resource", false, []jsonrpc.Call{{Method: jsonrpc.ReadResource, Name: "file:///secret/a/b"}}, "read", "admin", nil},
		{"a subscription", false, []jsonrpc.Call{{Method: jsonrpc.SubscribeResource, Name: "FILE:///secret/a"}}, "read", "admin", nil},
		{"its end", false, []jsonrpc.Call{{Method: jsonrpc.UnsubscribeResource, Name: "file:///secret/%61"}}, "read", "admin", nil},
		{"an encoded letter", false, []jsonrpc.Call{{Method: jsonrpc.ReadResource, Name: "file:///s%65cret/a"}}, "read", "admin", nil},
		{"an encoded slash", false, []jsonrpc.Call{{Method: jsonrpc.ReadResource, Name: "file:///secret%2Fa"}}, "read", "admin", nil},
		{"a resource that nobody names", true, []jsonrpc.Call{{Method: jsonrpc.ReadResource, Name: "file:///other"}}, "", "", nil},
		{"a way round", false, []jsonrpc.Call{{Method: jsonrpc.ReadResource, Name: "file:///public/../secret/a"}}, "read", "", errURI},
	} {
		t.Run(row.name, func(t *testing.T) {
			missing, err := New(scopes, row.deny).Missing(row.calls, strings.Fields(row.held))
			if missing.String() != row.missing || !errors.Is(err, row.err) || err != nil && missing != nil {
				t.Errorf("missing is %q, %v", missing, err)
			}
		})
	}
}

func TestBodiesAreReadOnlyForRules(t *testing.T) {
	plain := []config.Scope{{Name: "read"}, {Name: "write", OnDemand: true, Allow: "true"}}
	if New(plain, false) != nil || New(nil, false) != nil {
		t.Error("there are rules where nothing is named")
	}
	for _, one := range []config.Scope{{Tools: []string{"a"}}, {Prompts: []string{"a"}}, {Resources: []string{"a:b"}}, {Methods: []string{"a"}}} {
		if New(append(slices.Clone(plain), one), false) == nil {
			t.Errorf("there are no rules for %+v", one)
		}
	}
	r := New(plain, true)
	if _, err := r.Missing([]jsonrpc.Call{{Method: jsonrpc.CallTool, Name: "a"}}, oauth.Scopes{"read"}); !errors.Is(err, ErrUnlisted) {
		t.Errorf("a tool where none is named: %v", err)
	}
	if _, err := r.Missing([]jsonrpc.Call{{Method: jsonrpc.ReadResource, Name: "no uri"}}, nil); err != nil {
		t.Errorf("a URI where no rule is about any: %v", err)
	}
}

func TestPatterns(t *testing.T) {
	for pattern, texts := range map[string]map[string]bool{
		"a":      {"a": true, "": false, "aa": false, "A": false, "*": false},
		"*":      {"": true, "a": true, "a/b": true},
		"a*":     {"a": true, "ab": true, "ba": false},
		"*a":     {"a": true, "ba": true, "ab": false},
		"a*a":    {"aa": true, "a": false, "aba": true, "ab": false},
		"*a*":    {"a": true, "bab": true, "b": false},
		"a*b*c":  {"abc": true, "axbxc": true, "ac": false, "acb": false, "abbc": true},
		"ab*bc":  {"abc": false, "abbc": true},
		"*ab*ba": {"aba": false, "abba": true, "ab ab ba": true},
		"a**b":   {"ab": true, "axb": true, "a": false},
		"a.c":    {"abc": false, "a.c": true},
	} {
		for text, want := range texts {
			if newPattern(pattern).match(text) != want {
				t.Errorf("%q matches %q: %v", pattern, text, !want)
			}
		}
	}
}

func TestPatternsOfURIsKnowCapitals(t *testing.T) {
	for _, row := range []struct {
		pattern, uri string
		want         bool
	}{
		{"HTTPS://Example.com/A", "https://example.com/A", true},
		{"HTTPS://Example.com/A", "https://example.com/a", false},
		{"https://*.Example.com/A*", "https://www.example.com/Ab", true},
		{"https://*.Example.com", "https://www.example.com", true},
		{"https://*Secret", "https://example.com/Secret", true},
		{"file://*Secret", "file:///a/Secret", true},
		{"File://*Secret", "file:///a/secret", true}, // the host may be meant
		{"FILE:*/Secret", "file:///a/Secret", true},
		{"FI*Secret", "file:///a/Secret", true},
		{"*Secret", "file:///a/Secret", true},
		{"*/Secret", "file:///a/secret", false},
		{"db://T?Q=*A", "db://t?Q=aA", true},
		{"db://T?Q=*A", "db://t?q=aa", false},
	} {
		r := New([]config.Scope{{Name: "a", Resources: []string{row.pattern}}}, false)
		if got := len(r.resources.naming(row.uri)) > 0; got != row.want {
			t.Errorf("%q names %q: %v", row.pattern, row.uri, got)
		}
	}
}

// Of the readings of a URI, each needs what it needs.
func TestReadings(t *testing.T) {
	r := New([]config.Scope{
		{Name: "exact", Resources: []string{"config://app"}},
		{Name: "query", Resources: []string{"config://app?all*", "config://slash/"}},
		{Name: "text", Resources: []string{"*.txt"}},
	}, false)
	for uri, want := range map[string]string{
		"config://app": "exact", "config://app?x": "exact", "config://app#x": "exact", "config://app/": "exact", "config://app/?x": "exact", "config://app?": "exact",
		"config://app?all": "query exact", "config://app?all#x": "query exact", "config://app#.txt": "text exact", "config://APP?.txt": "text exact",
		"config://app/x": "", "config://apps": "", "config://slash": "", "config://slash/?x": "query", "config://slash?x": "", "a:b.txt?x": "text",
	} {
		got, err := r.Missing([]jsonrpc.Call{{Method: jsonrpc.ReadResource, Name: uri}}, nil)
		if err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(strings.Fields(want)))) {
			t.Errorf("%q needs %q, %v, want %q", uri, got, err, want)
		}
	}
}
