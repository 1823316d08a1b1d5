package realcluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"vestibule.dev/vestibule/hack/mcpclient"
)

// LoginHost is the development identity provider's, on this machine and in pods:
// the Service idp in the namespace login.
const LoginHost = "idp.login.localhost"

// Login is a development identity provider in the cluster. Its issuer is one URL
// for the browser on this machine and for the gateways in the cluster.
type Login struct {
	// Port is of the issuer, the Service and this machine; NodePort leads there.
	Port, NodePort int
	// RedirectURIs are where logins may end.
	RedirectURIs []string

	// ClientSecret and Passwords are made up by DeployLogin, and CA is the
	// authority of its certificate.
	ClientSecret string
	Passwords    map[string]string
	CA           []byte
}

// Issuer is the provider's URL.
func (l *Login) Issuer() string { return fmt.Sprintf("https://%s:%d", LoginHost, l.Port) }

// Server is an MCPServer of the demo, with a weather server of two pods behind it,
// and a NodePort to its gateway.
type Server struct {
	Namespace string
	// Port is where it is reachable on this machine, and NodePort leads there.
	Port, NodePort int
	Login          *Login
}

// PublicURL is the server's.
func (s *Server) PublicURL() string { return fmt.Sprintf("http://localhost:%d", s.Port) }

// Endpoint is what a client is given.
func (s *Server) Endpoint() string { return s.PublicURL() + "/mcp" }

// RedirectURI is what the identity provider must know.
func (s *Server) RedirectURI() string { return s.PublicURL() + "/callback/corp" }

//go:embed login.yaml
var loginManifests string

//go:embed server.yaml
var serverManifests string

// DeployLogin runs the identity provider, and waits until it is available.
func (c *Cluster) DeployLogin(ctx context.Context, l *Login) error {
	l.ClientSecret, l.Passwords = rand.Text(), map[string]string{}
	type user struct {
		Name          string   `json:"name"`
		Password      string   `json:"password"`
		Email         string   `json:"email"`
		EmailVerified bool     `json:"emailVerified"`
		Groups        []string `json:"groups"`
	}
	var users []user
	for _, name := range []string{"alice", "bob", "mallory"} {
		l.Passwords[name] = strings.ToLower(rand.Text()[:16])
		users = append(users, user{name, l.Passwords[name], name + "@example.com", name != "mallory", []string{"staff"}})
	}
	usersJSON, err := json.Marshal(users)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "vestibule-login-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a directory too many does no harm
	image, err := c.Load(ctx, "devidp")
	if err != nil {
		return err
	}
	if _, err := c.run(ctx, []string{"CGO_ENABLED=0"}, "go", "run", "-trimpath", "./cmd/devidp", "-issuer", l.Issuer(), "-make-certificate", dir); err != nil {
		return err
	}
	files := map[string]string{}
	for _, name := range []string{"ca.crt", "tls.crt", "tls.key"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		files[name] = string(content)
	}
	l.CA = []byte(files["ca.crt"])
	manifests, err := render(loginManifests, map[string]any{
		"Login": l, "Image": image, "Users": string(usersJSON),
		"Certificate": files["tls.crt"], "Key": files["tls.key"],
	})
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, manifests); err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, "", "rollout", "status", "-n", "login", "deployment/idp", "--timeout=120s")
	return err
}

// DeployServer applies the MCPServer and what is behind it. It does not wait.
func (c *Cluster) DeployServer(ctx context.Context, s *Server) error {
	image, err := c.Load(ctx, "weather")
	if err != nil {
		return err
	}
	manifests, err := render(serverManifests, map[string]any{"Server": s, "Login": s.Login, "Image": image, "CA": string(s.Login.CA)})
	if err != nil {
		return err
	}
	return c.Apply(ctx, manifests)
}

// WaitReady waits until the MCPServer is Ready, and its NodePort leads there: the
// node's proxy hears of the pods a moment after the controller does.
func (c *Cluster) WaitReady(ctx context.Context, s *Server) error {
	if _, err := c.Kubectl(ctx, "", "wait", "--for=condition=Ready", "--timeout=180s", "-n", s.Namespace, "mcpserver/weather"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.PublicURL()+"/.well-known/oauth-protected-resource/mcp", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = resp.Body.Close() // nothing of it is wanted
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", s.PublicURL(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Client returns an MCP client on this machine, with a user of the login at the browser.
func (s *Server) Client(user string, step func(string)) (*mcpclient.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(s.Login.CA) {
		return nil, errors.New("the login's authority is no certificate")
	}
	h := mcpclient.NewHTTP(roots)
	person, err := mcpclient.NewPerson(user, s.Login.Passwords[user], h)
	if err != nil {
		return nil, err
	}
	return &mcpclient.Client{Endpoint: s.Endpoint(), HTTP: h, Person: person, Step: step}, nil
}

func render(manifests string, values any) (string, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"quote": func(s string) (string, error) { // JSON is YAML
			b, err := json.Marshal(s)
			return string(b), err
		},
	}).Parse(manifests)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return "", err
	}
	return b.String(), nil
}
