// Package operations says which scopes the operations of MCP need.
package operations

import (
	"errors"
	"slices"

	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/internal/jsonrpc"
	"vestibule.dev/vestibule/gateway/internal/oauth"
)

// Rules are what operations are judged by.
type Rules struct {
	methods, tools, prompts, resources names
	denyUnlistedTools                  bool
}

// names are the scopes that name something, in the order of the configuration.
type names []named

type named struct {
	scope    string
	patterns []pattern
}

// New returns what the scopes say of operations, or nil if nothing depends on it. It
// denies tools that no scope names, if it is to.
func New(scopes []config.Scope, denyUnlistedTools bool) *Rules {
	if !denyUnlistedTools && !slices.ContainsFunc(scopes, config.Scope.NamesOperations) {
		return nil
	}
	r := &Rules{denyUnlistedTools: denyUnlistedTools}
	for _, s := range scopes {
		r.methods.add(s.Name, s.Methods)
		r.tools.add(s.Name, s.Tools)
		r.prompts.add(s.Name, s.Prompts)
		var lower []string
		for _, uri := range s.Resources {
			lower = append(lower, lowered(uri)...)
		}
		r.resources.add(s.Name, lower)
	}
	return r
}

func (n *names) add(scope string, texts []string) {
	if len(texts) == 0 {
		return
	}
	added := named{scope: scope}
	for _, text := range texts {
		added.patterns = append(added.patterns, newPattern(text))
	}
	*n = append(*n, added)
}

// naming returns the scopes that name s, of which one is needed.
func (n names) naming(s string) oauth.Scopes {
	var scopes oauth.Scopes
	for _, one := range n {
		if slices.ContainsFunc(one.patterns, func(p pattern) bool { return p.match(s) }) {
			scopes = append(scopes, one.scope)
		}
	}
	return scopes
}

// ErrUnlisted says that a tool is called which no scope names, so that none helps.
var ErrUnlisted = errors.New("no scope names this tool, so nobody may call it here")

// Missing returns which scopes, besides those held, would let all the calls through:
// of those that would do for one, the first. The error is ErrUnlisted, or a
// *jsonrpc.Error of a URI that is not read by everybody alike.
func (r *Rules) Missing(calls []jsonrpc.Call, held oauth.Scopes) (oauth.Scopes, error) {
	var missing oauth.Scopes
	need := func(anyOf oauth.Scopes) {
		//rule:one-of-several
		if len(anyOf) > 0 && len(held.Missing(anyOf)) == len(anyOf) {
			missing = missing.With(anyOf[:1])
		}
	}
	for _, c := range calls {
		need(r.methods.naming(c.Method))
		switch c.Method {
		case jsonrpc.CallTool:
			scopes := r.tools.naming(c.Name)
			//rule:unlisted-tools
			if r.denyUnlistedTools && len(scopes) == 0 {
				return nil, ErrUnlisted
			}
			//rule:no-operation-scope
			need(scopes)
		case jsonrpc.GetPrompt:
			need(r.prompts.naming(c.Name))
		case jsonrpc.ReadResource, jsonrpc.SubscribeResource, jsonrpc.UnsubscribeResource:
			if len(r.resources) == 0 {
				break
			}
			uri, ok := config.CanonicalURI(c.Name)
			if !ok {
				return nil, errURI
			}
			//rule:uris-undecoded uris-with-a-tail
			for _, reading := range readings(uri) {
				need(r.resources.naming(reading))
			}
		}
	}
	return missing, nil
}
