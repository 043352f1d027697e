package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Options of a control plane. The zero value is right for tests.
type Options struct {
	// NoCRDs leaves the CRDs of this project out.
	NoCRDs bool
	// Webhooks are files, relative to the module root, with webhook
	// configurations to install; they are pointed to WebhookServing.
	Webhooks []string
	// Verbose sends the output of etcd and kube-apiserver to stderr.
	Verbose bool
}

// ControlPlane is a running etcd and kube-apiserver.
type ControlPlane struct {
	// Config is for a cluster administrator, without a client-side rate limit.
	Config *rest.Config
	env    *envtest.Environment
}

// Start returns when the API server answers and the CRDs are established.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	binaries := filepath.Join(root, "bin", "k8s")
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(binaries, name)); err != nil {
			return nil, fmt.Errorf("control plane binary %s is missing, run `make k8s-binaries`: %w", name, err)
		}
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory:    binaries,
		AttachControlPlaneOutput: o.Verbose,
	}
	if !o.NoCRDs {
		env.CRDDirectoryPaths = []string{filepath.Join(root, "config", "crd", "bases")}
		env.ErrorIfCRDPathMissing = true
	}
	for _, file := range o.Webhooks {
		env.WebhookInstallOptions.Paths = append(env.WebhookInstallOptions.Paths, filepath.Join(root, file))
	}
	config, err := env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), env.Stop())
	}
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	config.QPS = -1
	return &ControlPlane{Config: config, env: env}, nil
}

// Stop ends etcd and kube-apiserver and removes their data.
func (c *ControlPlane) Stop() error {
	if err := c.env.Stop(); err != nil {
		return fmt.Errorf("stopping the control plane: %w", err)
	}
	return nil
}

// WebhookServing is where the API server looks for webhooks: an address, a port,
// and a folder with tls.crt and tls.key for them.
func (c *ControlPlane) WebhookServing() (host string, port int, certDir string) {
	w := c.env.WebhookInstallOptions
	return w.LocalServingHost, w.LocalServingPort, w.LocalServingCertDir
}

// InstallCRDs adds the definitions of others, from files relative to the module
// root, and returns when they are served.
func (c *ControlPlane) InstallCRDs(files ...string) error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	o := envtest.CRDInstallOptions{ErrorIfPathMissing: true}
	for _, file := range files {
		o.Paths = append(o.Paths, filepath.Join(root, file))
	}
	if _, err := envtest.InstallCRDs(c.Config, o); err != nil {
		return fmt.Errorf("installing definitions: %w", err)
	}
	return nil
}

// Kubeconfig returns a kubeconfig for a cluster administrator.
func (c *ControlPlane) Kubeconfig() ([]byte, error) {
	user, err := c.env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return nil, fmt.Errorf("adding the administrator to the control plane: %w", err)
	}
	return user.KubeConfig()
}

// ModuleRoot is the folder of this project's go.mod.
func ModuleRoot() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("finding the module root: the binary has no file names")
	}
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return "", fmt.Errorf("finding the module root: %w", err)
	}
	return root, nil
}
