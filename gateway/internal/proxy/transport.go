package proxy

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"vestibule.dev/vestibule/gateway/config"
)

// NewTransport returns what calls a backend: many connections to one address,
// nothing decoded on the way, and no proxy of the environment's in between. It reads
// the backend's files.
func NewTransport(b *config.Backend) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		// Each stream has both for as long as it lasts.
		ReadBufferSize:  2 << 10,
		WriteBufferSize: 2 << 10,
		Protocols:       &http.Protocols{},
		HTTP2: &http.HTTP2Config{
			// A client that reads slowly has this much wait for it here.
			MaxReceiveBufferPerStream: 128 << 10,
			// Every request to a pod is on one connection: one that is dead must be found out.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     5 * time.Second,
		},
	}
	if b.H2C {
		t.Protocols.SetUnencryptedHTTP2(true)
		return t, nil
	}
	t.Protocols.SetHTTP1(true)
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" {
		return t, nil
	}
	t.Protocols.SetHTTP2(true)
	// The name is the Service's, also where a pod is called by its address.
	//rule:any-certificate certificate-of-an-address
	t.TLSClientConfig = &tls.Config{ServerName: cmp.Or(b.ServerName, u.Hostname()), MinVersion: tls.VersionTLS12}
	if b.CABundleFile != "" {
		pem, err := os.ReadFile(b.CABundleFile)
		if err != nil {
			return nil, fmt.Errorf("reading the CA bundle of the backend %s: %w", b.URL, err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA bundle of the backend %s, %s, has no certificate in it", b.URL, b.CABundleFile)
		}
	}
	return t, nil
}
