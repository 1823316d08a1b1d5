package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/cmd/internal/devidp"
	"vestibule.dev/vestibule/cmd/internal/manifest"
	"vestibule.dev/vestibule/controllers"
	"vestibule.dev/vestibule/gateway/config"
)

// state is the directory that stands for the cluster's Secrets. Keys and records
// stay there between runs; what the file brings is written for a run, and
// removed after it.
type state struct {
	dir     string
	written []string
}

// openState makes the directory and its keys, if they are not there, and gives
// the server the UID that a cluster would have given it: the same in each run.
func openState(dir string, server *v1alpha1.MCPServer) (*state, error) {
	name := server.Namespace + "-" + server.Name
	if dir == "" {
		base := os.Getenv("XDG_STATE_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, fmt.Errorf("finding a place for keys and records (name one with -state): %w", err)
			}
			base = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(base, "vestibule", name)
	}
	server.UID = types.UID("local/" + name)
	d := &state{dir: dir}
	err := errors.Join(os.MkdirAll(filepath.Join(dir, "keys"), 0o700), os.Chmod(dir, 0o700)) //nolint:gosec // a directory
	if err != nil {
		return nil, fmt.Errorf("making a place for keys and records: %w", err)
	}
	if err := d.makeKeys(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *state) makeKeys() error {
	path := filepath.Join(d.dir, "keys", "keyset.json")
	keySet, err := config.NewKeySet(time.Now()).Marshal()
	if err != nil {
		return fmt.Errorf("making keys: %w", err)
	}
	// Linked when it is whole: half a file would be refused at every start to come.
	whole := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(whole, keySet, 0o600); err != nil {
		return fmt.Errorf("making keys: %w", err)
	}
	defer func() { _ = os.Remove(whole) }()
	if err := os.Link(whole, path); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("making keys: %w", err)
	}
	return nil
}

func (d *state) storeFile() string { return filepath.Join(d.dir, "store.db") }

// writeReferences puts what the spec refers to where the configuration will
// say that it is: from the file's Secrets and ConfigMaps, or from the
// development identity provider, which has the place of every upstream.
func (d *state) writeReferences(p *plan, m *manifest.Manifest, idp *devidp.Provider) error {
	for _, r := range controllers.GatewayReferences(p.server) {
		value, err := valueOf(r, m, idp)
		if err != nil {
			return fmt.Errorf("spec.%s: %w; add it to the file, where a line with --- is before each object", r.Field, err)
		}
		path := filepath.Join(d.dir, r.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("writing what spec.%s refers to: %w", r.Field, err)
		}
		if err := os.WriteFile(path, value, 0o600); err != nil {
			return fmt.Errorf("writing what spec.%s refers to: %w", r.Field, err)
		}
		d.written = append(d.written, path)
	}
	return nil
}

func valueOf(r controllers.GatewayReference, m *manifest.Manifest, idp *devidp.Provider) ([]byte, error) {
	if idp != nil && r.Kind == "Secret" && strings.HasPrefix(r.Field, "upstreams[") { // it has taken the place of all upstreams
		_, secret := idp.Client()
		return []byte(secret), nil
	}
	ref := v1alpha1.KeyReference{Name: r.Name, Key: r.Key}
	if r.Kind == "ConfigMap" {
		return m.ConfigMapKey(ref)
	}
	return m.SecretKey(ref)
}

// close removes what was written for this run.
func (d *state) close() error {
	var errs []error
	for _, path := range d.written {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
