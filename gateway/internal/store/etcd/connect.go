package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// A member that says nothing for this long is left for another.
const (
	keepAliveTime    = 10 * time.Second // gRPC takes no less
	keepAliveTimeout = 3 * time.Second
)

// connect makes the client. Its connections come with the first call.
func (s *Store) connect() error {
	o := s.opts
	secure, err := o.check()
	if err != nil {
		return err
	}
	cfg := clientv3.Config{
		Endpoints:         o.Endpoints,
		DialKeepAliveTime: keepAliveTime, DialKeepAliveTimeout: keepAliveTimeout, PermitWithoutStream: true,
		MaxUnaryRetries: 3, // of what was never sent, or only reads; more is up to us
		DialOptions:     append([]grpc.DialOption{grpc.WithChainUnaryInterceptor(failFast)}, o.DialOptions...),
		Logger:          zap.NewNop(), // it would quote etcd
	}
	if secure {
		if cfg.TLS, err = o.tls(); err != nil {
			return err
		}
	}
	if o.UserFile != "" {
		s.login = &login{userFile: o.UserFile, passwordFile: o.PasswordFile}
		cfg.DialOptions = append(cfg.DialOptions, grpc.WithPerRPCCredentials(s.login))
	}
	if s.client, err = clientv3.New(cfg); err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	return nil
}

// failFast ends a call when no member can be connected to, with the reason. The
// client would have it wait, and say in the end that time is up.
func failFast(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(ctx, method, req, reply, cc, append(opts, grpc.WaitForReady(false))...)
}

// check says what cannot work, and whether connections are encrypted.
func (o Options) check() (secure bool, err error) {
	if !strings.HasPrefix(o.Prefix, "/") || path.Clean(o.Prefix) != o.Prefix || o.Prefix == "/" {
		return false, errors.New("the prefix must begin with a slash and not end in one")
	}
	if len(o.Endpoints) == 0 {
		return false, errors.New("there must be an endpoint")
	}
	if (o.CertFile == "") != (o.KeyFile == "") || (o.UserFile == "") != (o.PasswordFile == "") {
		return false, errors.New("a certificate needs its key, and a user a password")
	}
	secure = strings.HasPrefix(o.Endpoints[0], "https:")
	for _, endpoint := range o.Endpoints {
		u, err := url.Parse(endpoint)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
			// Endpoints are in the errors, in which a password would be everybody's.
			return false, errors.New("endpoints must be http or https URLs, without a user")
		case secure != (u.Scheme == "https"):
			return false, errors.New("endpoints must be all http or all https")
		case !secure && (o.CertFile != "" || o.CAFile != ""):
			return false, errors.New("a certificate is of no use over http: endpoints must be https")
		case !secure && o.PasswordFile != "" && !isLoopback(u.Hostname()):
			return false, errors.New("a password over http is everybody's: endpoints must be https")
		}
	}
	return secure, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (o Options) tls() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		bundle, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the CA bundle: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("the CA bundle %s has no certificate in it", o.CAFile)
		}
	}
	if o.CertFile != "" {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("reading the client certificate: %w", err)
			}
			return &cert, nil
		}
	}
	return cfg, nil
}
