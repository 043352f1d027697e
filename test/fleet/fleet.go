package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/daemon/agent"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// Node is a node of the fleet: its name, labels and simulated kernel.
type Node struct {
	Name   string
	Labels map[string]string
	Kernel *simhost.Kernel
}

// Options of a fleet.
type Options struct {
	// Config of a running control plane with the CRDs installed.
	Config    *rest.Config
	Namespace string
	Nodes     []Node
	// RemovalDelay is how long the state of a node that left is kept; 0 means
	// the manager's default.
	RemovalDelay time.Duration
	// ConfigFor returns the connection of one component ("manager" or a node's
	// name); nil gives all of them Config. Tests count requests with it.
	ConfigFor func(component string) *rest.Config
	// Program is what daemons copy to their hosts in mode systemd; empty means the
	// program of this process, which is large.
	Program string
	// ProbeFor returns the probe address of a node's daemon; nil turns probes off.
	ProbeFor func(node string) string
	// Injector makes the manager serve the pod helper; nil does not.
	Injector *Serving
}

// Serving is where the API server looks for webhooks, and a folder with tls.crt
// and tls.key for them.
type Serving struct {
	Host    string
	Port    int
	CertDir string
}

// Fleet is a running manager with its daemons.
type Fleet struct {
	// Client reads from the API server, not from a cache.
	Client    client.WithWatch
	Namespace string

	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

// Start creates the nodes and starts the manager and the daemons.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), sriovv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(o.Config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the control plane: %w", err)
	}
	for _, n := range o.Nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels}}
		if err := c.Create(ctx, node); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating node %s: %w", n.Name, err)
		}
	}
	configFor := o.ConfigFor
	if configFor == nil {
		configFor = func(string) *rest.Config { return o.Config }
	}
	probeFor := o.ProbeFor
	if probeFor == nil {
		probeFor = func(string) string { return "0" }
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &Fleet{Client: c, Namespace: o.Namespace, cancel: cancel}
	options := manager.Options{
		Config: configFor("manager"), Namespace: o.Namespace, RemovalDelay: cmp.Or(o.RemovalDelay, manager.DefaultRemovalDelay),
		MetricsBindAddress: "0", ProbeBindAddress: "0",
	}
	if s := o.Injector; s != nil {
		options.EnableInjector, options.WebhookHost, options.WebhookPort, options.WebhookCertPath = true, s.Host, s.Port, s.CertDir
	}
	f.run("manager", func() error { return manager.Run(ctx, options) })
	for _, n := range o.Nodes {
		f.run("daemon of "+n.Name, func() error {
			return agent.Run(ctx, agent.Options{
				Config: configFor(n.Name), Node: n.Name, Namespace: o.Namespace,
				Host: n.Kernel.Host(), Store: n.Kernel.Store(), Boot: boot.Keeper{Program: o.Program},
				MetricsBindAddress: "0", ProbeBindAddress: probeFor(n.Name),
			})
		})
	}
	return f, nil
}

func (f *Fleet) run(name string, start func() error) {
	f.running.Go(func() {
		if err := start(); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.errs = append(f.errs, fmt.Errorf("%s: %w", name, err))
		}
	})
}

// Err is what made a component end by itself; nil while all run.
func (f *Fleet) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.errs...)
}

// Stop ends all components and waits for them.
func (f *Fleet) Stop() error {
	f.cancel()
	f.running.Wait()
	return f.Err()
}
