package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"vestibule.dev/vestibule/cmd/internal/devidp"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/gateway/config"
	"vestibule.dev/vestibule/gateway/policy"
)

// welcome says what runs, how to use it, and what is not as the file says.
func welcome(o options, p *plan, d *state, idp *devidp.Provider, cfg *config.Config) {
	var b strings.Builder
	endpoint := config.RouteURL(cfg.PublicURL, cfg.Routes[0].Path)
	name := p.server.Name
	fmt.Fprintf(&b, "\nMCPServer %s runs on this machine. Ctrl-C ends it.\n\n", name)
	table(&b, "  ", func(row func(cells ...string)) {
		row("Paste into a client", endpoint)
		row("MCP Inspector", "npx @modelcontextprotocol/inspector --server-url "+endpoint+" --transport http")
		row("Claude Code", "claude mcp add --transport http "+name+" "+endpoint)
	})
	if idp != nil {
		b.WriteString("\nUsers of the development identity provider:\n")
		table(&b, "  ", func(row func(cells ...string)) {
			for _, u := range idp.Users() {
				row(u.Name, u.Password, admission(u, cfg))
			}
		})
	} else {
		b.WriteString("\n")
		for _, u := range cfg.Upstreams {
			fmt.Fprintf(&b, "Users log in at %s, which must know the redirect URI %s/callback/%s.\n", u.Issuer(), cfg.PublicURL, u.Name)
		}
		for _, r := range controllers.GatewayReferences(p.server) {
			fmt.Fprintf(&b, "Its %s is that of the %s %s in %s.\n", r.Field, r.Kind, r.Name, o.file)
		}
	}
	if len(p.overridden) > 0 {
		fmt.Fprintf(&b, "\nOtherwise than %s says:\n", o.file)
		table(&b, "  ", func(row func(cells ...string)) {
			for _, f := range p.overridden {
				row(f.field, f.value)
				row("", "("+f.why+")")
			}
		})
	}
	fmt.Fprintf(&b, "\nKeys and records are in %s; delete it to start anew.\n\n", d.dir)
	_, _ = io.WriteString(o.stdout, b.String())
}

// table aligns rows of cells.
func table(w io.Writer, indent string, fill func(row func(cells ...string))) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fill(func(cells ...string) { fmt.Fprintln(t, indent+strings.Join(cells, "\t")) })
	_ = t.Flush() // into memory
}

// admission says whether the access rules let a user in, with the claims that
// the gateway will see.
func admission(u devidp.User, cfg *config.Config) string {
	access, err := policy.CompileAccess(cfg.AccessRules)
	if err != nil {
		return "" // the gateway did not start with such rules
	}
	claims := map[string]any{"name": u.FullName, "preferred_username": u.Name, "email_verified": u.EmailVerified, "groups": u.Groups}
	if u.EmailVerified {
		claims["email"] = u.Email
	}
	switch rule, err := access.Allowed(policy.User{Upstream: cfg.Upstreams[0].Name, Claims: claims}); {
	case err != nil && !u.EmailVerified:
		return "will be refused: no rule in spec.access is true without a verified mail address"
	case err != nil:
		return "will be refused: no rule in spec.access is true"
	case rule == "":
		return ""
	default:
		return "let in by the rule " + rule
	}
}
