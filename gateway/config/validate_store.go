package config

import (
	"fmt"
	"net/url"
	"strings"
)

func (v *validator) store(field string, s *Store) {
	switch s.Type {
	case StoreKubernetes:
		if s.Kubernetes == nil {
			v.check(false, field+".kubernetes", "must be set for type Kubernetes")
			return
		}
		k := s.Kubernetes
		v.check(k.Kind == "Secret" || k.Kind == "ConfigMap", field+".kubernetes.kind", "must be Secret or ConfigMap")
		v.check(k.Namespace != "" && k.Name != "", field+".kubernetes", "namespace and name must be set")
		v.check(k.ClientShards > 0 && k.GrantShards > 0, field+".kubernetes", "clientShards and grantShards must be positive")
		v.check(k.Replicas > 0, field+".kubernetes.replicas", "must be positive")
	case StoreEtcd:
		if s.Etcd == nil {
			v.check(false, field+".etcd", "must be set for type Etcd")
			return
		}
		v.etcd(field+".etcd", s.Etcd)
	case StoreMemory:
	default:
		v.check(false, field+".type", "must be Kubernetes, Etcd or Memory")
	}
}

func (v *validator) etcd(field string, e *EtcdStore) {
	v.check(len(e.Endpoints) > 0, field+".endpoints", "must not be empty")
	for i, endpoint := range e.Endpoints {
		v.baseURL(fmt.Sprintf("%s.endpoints[%d]", field, i), endpoint)
		// A password in the clear is everybody's on the way.
		v.check(strings.HasPrefix(endpoint, "https:") || e.PasswordFile == "" || isLoopbackURL(endpoint),
			fmt.Sprintf("%s.endpoints[%d]", field, i), "must be https when there is a password")
	}
	v.check(isPlainPath(e.Prefix), field+".prefix", "must begin with a slash and not end in one, and have plain characters only")
	v.check((e.CertFile == "") == (e.KeyFile == ""), field, "certFile and keyFile must be set together")
	v.check((e.UserFile == "") == (e.PasswordFile == ""), field, "userFile and passwordFile must be set together")
}

func isLoopbackURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && IsLoopback(u.Hostname())
}
