package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// settle is how long the agent waits after an event for those that come with
// it: a driver probe announces a handful of changes within milliseconds.
const settle = 200 * time.Millisecond

// defaultResync is the safety resync, in case an event was lost on the way.
const defaultResync = 30 * time.Minute

// Options of a daemon.
type Options struct {
	Config *rest.Config
	// Node is the name of the node, Namespace the one of the operator.
	Node, Namespace string
	Host            host.Host
	Store           ledger.Store
	// Boot keeps on the host what the next boot needs; its Host is Host.
	Boot boot.Keeper
	// Resync is the interval of the safety resync; 0 means 30 minutes.
	Resync time.Duration
	// MetricsBindAddress as controller-runtime takes it; "0" turns metrics off.
	MetricsBindAddress string
	// ProbeBindAddress serves /healthz and /readyz; "0" turns it off.
	ProbeBindAddress string
}

// Run runs the daemon until ctx ends.
func Run(ctx context.Context, o Options) error {
	if o.Resync == 0 {
		o.Resync = defaultResync
	}
	scheme := runtime.NewScheme()
	if err := sriovv1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("registering the API: %w", err)
	}
	o.Boot.Host = o.Host
	agent := &Agent{Boot: o.Boot, Host: o.Host, Store: o.Store, Drivers: driver.Default(), Resync: jitter(o.Resync)}
	agent.recoverAtStart(ctx)
	// The daemon sees its own node's state and nothing else.
	mgr, err := manager.New(o.Config, manager.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: o.MetricsBindAddress},
		HealthProbeBindAddress: o.ProbeBindAddress,
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&sriovv1.SriovNetworkNodeState{}: {
				Namespaces: map[string]cache.Config{o.Namespace: {}},
				Field:      fields.OneTermEqualSelector("metadata.name", o.Node),
			},
		}},
	})
	if err != nil {
		return fmt.Errorf("setting up the daemon of node %s: %w", o.Node, err)
	}
	agent.Client = mgr.GetClient()
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.Namespace, Name: o.Node}}
	unique := true
	err = builder.ControllerManagedBy(mgr).
		Named("daemon").
		For(&sriovv1.SriovNetworkNodeState{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, answered()))).
		WatchesRawSource(hostEvents(o.Host.Events, request)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 1,
			// Several daemons may run in one process.
			SkipNameValidation: &unique,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				time.Second, 5*time.Minute),
		}).
		Complete(agent)
	if err != nil {
		return fmt.Errorf("setting up the daemon of node %s: %w", o.Node, err)
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping)); err != nil {
		return fmt.Errorf("setting up the probes: %w", err)
	}
	return mgr.Start(ctx)
}

// answered passes what the manager answers to a plan.
func answered() predicate.Predicate {
	answer := func(o client.Object) Answer {
		state, ok := o.(*sriovv1.SriovNetworkNodeState)
		if !ok {
			return Answer{}
		}
		return AnswerOf(&state.Status)
	}
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
		UpdateFunc:  func(e event.UpdateEvent) bool { return answer(e.ObjectOld) != answer(e.ObjectNew) },
	}
}

// hostEvents wakes the agent when something changes on the host. Events that
// come together cause one turn.
func hostEvents(events host.Events, request reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		changes, err := events.Subscribe(ctx)
		if err != nil {
			return fmt.Errorf("subscribing to changes on the host: %w", err)
		}
		go func() {
			for change := range changes {
				log.FromContext(ctx).V(1).Info("Host changed", "source", change.Source, "device", change.Device)
				queue.AddAfter(request, settle)
			}
		}()
		return nil
	})
}

// jitter spreads the resync of a fleet: 0.9 to 1.1 times d.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}
