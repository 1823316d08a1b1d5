package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"vestibule.dev/vestibule/cmd/internal/devidp"
	"vestibule.dev/vestibule/cmd/internal/serving"
)

// listen listens anywhere for an issuer with a certificate, and else on loopback:
// passwords are not shown to a network.
func listen(ctx context.Context, o *options) (net.Listener, error) {
	if o.issuer == "" {
		return nil, errors.New("-issuer must be set")
	}
	if secure := strings.HasPrefix(o.issuer, "https://"); secure != (o.certFile != "") || secure != (o.keyFile != "") {
		return nil, errors.New("-cert and -key go with an -issuer that is https, and only with such a one")
	}
	if o.certFile == "" {
		return devidp.Listen(o.listen)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

// serve serves until ctx is done.
func serve(ctx context.Context, l net.Listener, o *options, stdout io.Writer) error {
	defer l.Close()
	handler, err := newHandler(o, stdout)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	slog.Info("serving", "issuer", o.issuer, "listen", l.Addr().String())
	return serving.UntilDone(ctx, s, func() error {
		if o.certFile == "" {
			return s.Serve(l)
		}
		return s.ServeTLS(l, o.certFile, o.keyFile)
	})
}

// newHandler makes the provider, and prints what it made up.
func newHandler(o *options, stdout io.Writer) (http.Handler, error) {
	users, err := readUsers(o.usersFile)
	if err != nil {
		return nil, err
	}
	given := map[string]bool{}
	for _, u := range users {
		given[u.Name] = u.Password != ""
	}
	secret, err := readSecret(o.secretFile)
	if err != nil {
		return nil, err
	}
	provider, err := devidp.New(o.issuer, devidp.Options{
		RedirectURIs: o.redirectURIs, ClientID: o.clientID, ClientSecret: secret, Users: users, Log: slog.Default(),
	})
	if err != nil {
		return nil, err
	}
	for _, u := range provider.Users() {
		if !given[u.Name] {
			fmt.Fprintf(stdout, "user %s password %s\n", u.Name, u.Password)
		}
	}
	if secret == "" {
		id, made := provider.Client()
		fmt.Fprintf(stdout, "client %s secret %s\n", id, made)
	}
	return provider, nil
}

// readSecret reads the relying party's secret, or nothing if there is no file.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the relying party's secret: %w", err)
	}
	// An editor's newline is no part of it. The gateway reads its copy alike.
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty: the relying party needs a secret", file)
	}
	return secret, nil
}

// readUsers reads a list of devidp.User, or nothing if there is no file.
func readUsers(file string) ([]devidp.User, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the users: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	var users []devidp.User
	if err := decoder.Decode(&users); err != nil {
		return nil, fmt.Errorf("reading the users: %s: %w", file, err)
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("%s names no user: nobody could log in", file)
	}
	return users, nil
}
