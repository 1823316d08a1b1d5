package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
)

// Load reads and checks the configuration in the file at path.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse reads a configuration strictly: a format that it does not know, a
// member that it does not know, anything after the document, and a value that
// the gateway could not work with are errors that name the member.
func Parse(data []byte) (*Config, error) {
	var c Config
	if err := decodeStrict(data, &c); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

func decodeStrict(data []byte, into any) error {
	var head struct {
		Version int `json:"version"`
	}
	// The version comes first: a newer format should say so, not complain of its members.
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("not a JSON document: %w", err)
	}
	if head.Version != Version {
		return fmt.Errorf("version: this gateway reads version %d, not %d", Version, head.Version)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more data after the document")
	}
	return nil
}

// IsLoopback says whether host, without a port, is this machine's own:
// localhost, 127.0.0.0/8 or ::1 (RFC 8252 section 7.3).
func IsLoopback(host string) bool {
	// Not EqualFold, for which the long s is an s.
	if strings.ToLower(host) == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// CheckLoopback returns an error unless address is a host of this machine's own and a
// port. flag says where it is from, and example is one that would do.
func CheckLoopback(flag, address, example string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !IsLoopback(host) {
		return fmt.Errorf("%s %s: must be a loopback address with a port, such as %s", flag, address, example)
	}
	return nil
}
