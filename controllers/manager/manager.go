package manager

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/components"
	"github.com/sriov-offload/sriov-offload-operator/controllers/deviceplugin"
	"github.com/sriov-offload/sriov-offload-operator/controllers/drain"
	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/injector"
	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodestate"
	"github.com/sriov-offload/sriov-offload-operator/controllers/policy"
)

// DefaultRemovalDelay is how long the state of a node that left is kept.
const DefaultRemovalDelay = 30 * time.Minute

// leaderElectionID is the name of the lease.
const leaderElectionID = "manager.sriovnetwork.openshift.io"

// Options of a manager.
type Options struct {
	// Config of the API server.
	Config *rest.Config
	// Namespace of the operator: its policies, pools, node states and ConfigMaps are in it.
	Namespace string
	// LeaderElection lets one of several managers work at a time.
	LeaderElection bool
	// RemovalDelay is how long the state of a node that left is kept.
	RemovalDelay time.Duration
	// MetricsBindAddress is where metrics are served; empty or "0" for nowhere.
	MetricsBindAddress string
	// MetricsSecure serves them by HTTPS to those whom the API server lets.
	MetricsSecure bool
	// MetricsCertPath is a folder with tls.crt and tls.key; empty for a self-signed certificate.
	MetricsCertPath string
	// EnableHTTP2 of the metrics server.
	EnableHTTP2 bool
	// EnableInjector serves the webhook that gives pods the resources that their
	// network annotations ask for.
	EnableInjector bool
	// MultusNamespace is where Multus looks for a default network without a namespace.
	MultusNamespace string
	// WebhookHost and WebhookPort are where webhooks are served; an empty host is
	// every address, 0 is port 9443.
	WebhookHost string
	WebhookPort int
	// WebhookCertPath is a folder with tls.crt and tls.key of the webhooks.
	WebhookCertPath string
	// Images of what is deployed on nodes. Without the operator's own image
	// nothing is deployed: somebody else runs the daemon.
	Images components.Images
	// DrainRetryDelay is how long a node waits after its first drain that took too
	// long; 0 means drain.DefaultRetryDelay.
	DrainRetryDelay time.Duration
	// PodName is the pod in which the manager runs, which it never evicts; empty
	// outside a cluster.
	PodName string
	// ProbeBindAddress is where /healthz and /readyz are; empty or "0" for nowhere.
	ProbeBindAddress string
}

// NewScheme returns a scheme with every kind that the controllers use.
func NewScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(s), sriovv1.AddToScheme(s), nadv1.AddToScheme(s)); err != nil {
		return nil, fmt.Errorf("registering kinds: %w", err)
	}
	return s, nil
}

// Run runs the controllers until ctx ends. It logs to the logger of ctx.
func Run(ctx context.Context, o Options) error {
	mgr, err := New(ctx, o)
	if err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the manager: %w", err)
	}
	return nil
}

// New returns a manager with every controller registered, not started.
func New(ctx context.Context, o Options) (ctrl.Manager, error) {
	if o.Namespace == "" {
		return nil, errors.New("the namespace of the operator is not set")
	}
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	skipNameValidation := true
	mgr, err := ctrl.NewManager(o.restConfig(), ctrl.Options{
		Scheme:                        scheme,
		Logger:                        log.FromContext(ctx),
		Cache:                         cacheOptions(o.Namespace),
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true, // the process ends when Run returns
		Metrics:                       o.metrics(),
		HealthProbeBindAddress:        o.ProbeBindAddress,
		WebhookServer:                 webhook.NewServer(o.webhook()),
		// Tests run several managers, one after the other, in one process.
		Controller: config.Controller{SkipNameValidation: &skipNameValidation},
	})
	if err != nil {
		return nil, fmt.Errorf("creating the manager: %w", err)
	}
	if err := errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("ping", healthz.Ping),
		addControllers(ctx, mgr, o),
	); err != nil {
		return nil, fmt.Errorf("setting up the manager: %w", err)
	}
	return mgr, nil
}

func addControllers(ctx context.Context, mgr ctrl.Manager, o Options) error {
	shared := fleet.New()
	whole, err := network.NewCluster(mgr)
	if err != nil {
		return err
	}
	if o.EnableInjector {
		injector.Register(mgr.GetWebhookServer(), injector.New(whole, o.MultusNamespace))
	}
	if o.Images.Operator != "" {
		deployer := &components.Reconciler{Client: mgr.GetClient(), Namespace: o.Namespace, Images: o.Images}
		if err := deployer.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	recorder := mgr.GetEventRecorder("sriov-offload-operator")
	return errors.Join(
		network.SetupWithManager(ctx, mgr, whole, o.Namespace),
		(&nodestate.Reconciler{
			Client: mgr.GetClient(), Namespace: o.Namespace, Fleet: shared, RemovalDelay: o.RemovalDelay,
		}).SetupWithManager(mgr),
		(&nodestate.PoolReconciler{Client: mgr.GetClient(), Namespace: o.Namespace}).SetupWithManager(mgr),
		(&policy.Reconciler{Client: mgr.GetClient(), Namespace: o.Namespace, Fleet: shared}).SetupWithManager(mgr),
		(&deviceplugin.Reconciler{
			Client: mgr.GetClient(), Namespace: o.Namespace,
			Recorder: recorder,
		}).SetupWithManager(mgr),
		drain.SetupWithManager(mgr, drain.Options{
			Namespace: o.Namespace, RetryDelay: o.DrainRetryDelay, Recorder: recorder,
			Self: types.NamespacedName{Namespace: o.Namespace, Name: o.PodName},
		}),
	)
}

// cacheOptions keep in memory what the controllers read and no more: our kinds
// of one namespace, our ConfigMaps, and of nodes their labels and whether they take pods.
func cacheOptions(namespace string) cache.Options {
	return cache.Options{
		DefaultNamespaces: map[string]cache.Config{namespace: {}},
		DefaultTransform:  cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Node{}: {Transform: nodes.Transform},
			&corev1.ConfigMap{}: {
				Label: labels.SelectorFromSet(labels.Set{deviceplugin.LabelManagedBy: deviceplugin.ManagedBy}),
			},
		},
	}
}

// restConfig leaves flow control to the API server's priority and fairness: a
// client-side limit would serialise the writes of a large fleet.
func (o Options) restConfig() *rest.Config {
	c := rest.CopyConfig(o.Config)
	if c.QPS == 0 {
		c.QPS = -1
	}
	if c.UserAgent == "" {
		c.UserAgent = "sriov-offload-operator/manager"
	}
	return c
}

// webhook is about a server that runs only if something is registered with it.
func (o Options) webhook() webhook.Options {
	w := webhook.Options{Host: o.WebhookHost, Port: o.WebhookPort, CertDir: o.WebhookCertPath}
	if !o.EnableHTTP2 {
		w.TLSOpts = append(w.TLSOpts, func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
	}
	return w
}

func (o Options) metrics() metricsserver.Options {
	m := metricsserver.Options{BindAddress: o.MetricsBindAddress, SecureServing: o.MetricsSecure, CertDir: o.MetricsCertPath}
	if m.BindAddress == "" {
		m.BindAddress = "0" // an empty address would mean :8080
	}
	if o.MetricsSecure {
		m.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	if !o.EnableHTTP2 {
		m.TLSOpts = append(m.TLSOpts, func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
	}
	return m
}
