package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"vestibule.dev/vestibule/gateway/config"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// client is what the gateway calls a provider with.
type client struct {
	http   *http.Client
	secret string
}

// newClient reads the files of an upstream. It returns ErrFiles.
func newClient(c *config.UpstreamClient) (*client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	if c.CABundleFile != "" {
		pem, err := os.ReadFile(c.CABundleFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFiles, err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: the CA bundle holds no certificate", ErrFiles)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	secret, err := readSecret(c.ClientSecretFile)
	if err != nil {
		return nil, err
	}
	return &client{&http.Client{Transport: wantsJSON{transport}, Timeout: callTimeout, CheckRedirect: checkRedirect}, secret}, nil
}

func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrFiles, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// wantsJSON says so to servers that have other formats too, as GitHub's token
// endpoint.
type wantsJSON struct{ base http.RoundTripper }

func (t wantsJSON) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Accept") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Accept", "application/json")
	}
	return t.base.RoundTrip(r)
}

// checkRedirect follows no redirect of a POST, which carries secrets, and none to a URL
// that is not secure.
func checkRedirect(r *http.Request, via []*http.Request) error {
	//rule:secret-redirected
	if via[0].Method != http.MethodGet || len(via) >= 5 {
		return http.ErrUseLastResponse
	}
	//rule:insecure-redirect
	if !secure(r.URL) {
		return insecureError("what " + path.Base(via[0].URL.Path) + " redirects to")
	}
	return nil
}

// secure reports whether a URL is https, or http on a loopback host.
func secure(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && config.IsLoopback(u.Hostname()))
}

// statusError is an answer that is none.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("it answers with status %d", int(e)) }

// permanent reports whether the same request will get the same answer later.
func (e statusError) permanent() bool {
	switch int(e) {
	//rule:outage-of-userinfo
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return e >= 400 && e < 500
}

// getJSON reads a document, with an access token if there is one. What it returns
// quotes nothing of the answer.
func (c *client) getJSON(ctx context.Context, url, accessToken string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if accessToken != "" {
		r.Header.Set("Authorization", "Bearer "+accessToken)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	return json.Unmarshal(body, into)
}
