// Package testenv runs a real kube-apiserver and etcd for tests.
//
// A package starts one control plane in its TestMain and shares it between its
// tests, each in a namespace of its own:
//
//	func TestMain(m *testing.M) { os.Exit(run(m)) }
//
//	func run(m *testing.M) int {
//		env, err := testenv.Start(testenv.Options{})
//		...
//		defer env.Stop()
//		return m.Run()
//	}
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// SharedEnv is the name of an environment variable with the path of the kubeconfig of a
// control plane for several test processes. Their tests must change nothing outside of
// namespaces of their own.
const SharedEnv = "VESTIBULE_TESTENV"

// startTimeout bounds the start of etcd and of the API server, each. It takes
// them seconds; a minute is for several packages starting theirs on two cores.
const startTimeout = time.Minute

// Options says what is in the cluster when Start returns.
type Options struct {
	// CRDs are files or directories of CustomResourceDefinitions, relative to the
	// test's package directory or absolute. One that does not exist is an error.
	CRDs []string
	// AuditLog is a file to which the API server writes one line in JSON for each
	// request of AuditUser, without what is in it. If empty, nothing is logged.
	AuditLog, AuditUser string
}

// auditPolicy has the API server log the requests of one user.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: [%q]
- level: None
`

// Env is a running control plane: an API server that authorizes by RBAC and its
// etcd, on loopback, with no controllers and no nodes.
type Env struct {
	// Config connects as a member of system:masters, whom RBAC does not restrict.
	Config *rest.Config

	dir   string               // everything the control plane writes
	plane *envtest.Environment // nil if another process runs it
	guard *guard
}

// Start runs a control plane until Stop. It finds the binaries in
// KUBEBUILDER_ASSETS, or else through hack/envtest.sh, which downloads or builds
// them: the first time on a machine that takes minutes. A binary that cannot be
// had is an error. If the test process dies without Stop, the control plane
// ends with it.
//
// If the environment variable SharedEnv has the path of a kubeconfig, Start connects to that
// control plane, which another process runs, and Stop leaves it running. One with an audit
// log is never shared.
func Start(o Options) (*Env, error) {
	if shared := os.Getenv(SharedEnv); shared != "" && o.AuditLog == "" {
		return join(shared, o)
	}
	assets, err := assets()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vestibule-testenv-")
	if err != nil {
		return nil, fmt.Errorf("creating the control plane's directory: %w", err)
	}
	e := &Env{dir: dir}
	if err := e.start(assets, o); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// join connects to a control plane that another process runs.
func join(path string, o Options) (*Env, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", SharedEnv, err)
	}
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: o.CRDs, ErrorIfPathMissing: true}); err != nil {
		return nil, fmt.Errorf("installing CRDs in the shared control plane: %w", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", SharedEnv, err)
	}
	dir, err := os.MkdirTemp("", "vestibule-testenv-")
	if err != nil {
		return nil, fmt.Errorf("creating a directory for kubeconfigs: %w", err)
	}
	e := &Env{dir: dir, Config: config}
	if err := os.WriteFile(e.Kubeconfig(), content, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the kubeconfig: %w", err), e.Stop())
	}
	return e, nil
}

func (e *Env) start(assets string, o Options) error {
	data, certs := filepath.Join(e.dir, "etcd-data"), filepath.Join(e.dir, "certs")
	for _, d := range []string{data, certs} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return fmt.Errorf("creating the control plane's directory: %w", err)
		}
	}
	guard, err := startGuard(e.dir)
	if err != nil {
		return err
	}
	e.guard = guard

	plane := &envtest.Environment{
		CRDDirectoryPaths:        o.CRDs,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  startTimeout,
	}
	server := plane.ControlPlane.GetAPIServer()
	server.CertDir = certs
	if server.Path, err = guard.wrap(filepath.Join(assets, "kube-apiserver")); err != nil {
		return err
	}
	// Room for a thousand Services; and no queues, since nobody is to be treated fairly.
	server.Configure().Set("service-cluster-ip-range", "10.0.0.0/16").Set("enable-priority-and-fairness", "false")
	if o.AuditLog != "" {
		policy := filepath.Join(e.dir, "audit.yaml")
		if err := os.WriteFile(policy, fmt.Appendf(nil, auditPolicy, o.AuditUser), 0o600); err != nil {
			return fmt.Errorf("writing the audit policy: %w", err)
		}
		// One file, however long it becomes.
		server.Configure().Set("audit-policy-file", policy).Set("audit-log-path", o.AuditLog).Set("audit-log-maxsize", "10000")
	}
	plane.ControlPlane.Etcd = &envtest.Etcd{DataDir: data}
	if plane.ControlPlane.Etcd.Path, err = guard.wrap(filepath.Join(assets, "etcd")); err != nil {
		return err
	}
	e.plane = plane
	if _, err := plane.Start(); err != nil {
		return fmt.Errorf("starting the control plane: %w", err)
	}
	e.Config = plane.Config
	if err := os.WriteFile(e.Kubeconfig(), plane.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}

// Stop ends the API server and etcd, waits for both, and removes their files,
// the kubeconfigs among them.
func (e *Env) Stop() error {
	var errs []error
	if e.plane != nil {
		if err := e.plane.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stopping the control plane: %w", err))
		}
	}
	if err := os.RemoveAll(e.dir); err != nil {
		errs = append(errs, fmt.Errorf("removing the control plane's directory: %w", err))
	}
	if e.guard != nil {
		if err := e.guard.stop(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Kubeconfig is the path of a kubeconfig that connects as Config does, for a
// child process. It is valid until Stop.
func (e *Env) Kubeconfig() string { return filepath.Join(e.dir, "admin.kubeconfig") }

// WriteKubeconfig writes a kubeconfig that connects as cfg does, for a child
// process. The file is removed by Stop.
func (e *Env) WriteKubeconfig(cfg *rest.Config) (string, error) {
	content, err := kubeconfig(cfg)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(e.dir, "*.kubeconfig")
	if err != nil {
		return "", fmt.Errorf("creating a kubeconfig: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return f.Name(), nil
}

// User connects as a user of this name and these groups, by client certificate.
// It may do what RBAC grants it, at first nearly nothing. A shared control plane has no users.
func (e *Env) User(name string, groups ...string) (*rest.Config, error) {
	if e.plane == nil {
		return nil, errors.New("a shared control plane has no users")
	}
	user, err := e.plane.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return nil, fmt.Errorf("adding user %s: %w", name, err)
	}
	return user.Config(), nil
}

// ServiceAccount connects as a service account, which must exist, with a token of
// the API server that lives for an hour: as a pod would. It may do what RBAC
// grants it.
func (e *Env) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	c, err := client.New(e.Config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("connecting to the control plane: %w", err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	request := &authenticationv1.TokenRequest{}
	if err := c.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("requesting a token for service account %s/%s: %w", namespace, name, err)
	}
	cfg := rest.AnonymousClientConfig(e.Config)
	cfg.QPS = -1 // No limit of the client's own: a test measures the server's answer.
	cfg.BearerToken = request.Status.Token
	return cfg, nil
}
