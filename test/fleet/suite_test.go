package fleet_test

import (
	"context"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/counting"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

func TestFleet(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "The whole product on simulated nodes")
}

const namespace = "kube-system"

var (
	running *fleet.Fleet
	options fleet.Options
	kernels = map[string]*simhost.Kernel{}
	// requests to the API server, by component: "manager" or the node of a daemon.
	requests = map[string]*counting.Requests{
		"manager": {}, "node1": {}, "node2": {}, "node3": {},
	}
)

var _ = BeforeSuite(func(ctx context.Context) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)

	cp, err := controlplane.Start(ctx, controlplane.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(cp.Stop)

	options = fleet.Options{
		Config: cp.Config, Namespace: namespace,
		ConfigFor: func(component string) *rest.Config {
			config := rest.CopyConfig(cp.Config)
			config.Wrap(requests[component].Wrap)
			return config
		},
	}
	for name, nic := range map[string]simhost.NIC{
		"node1": guideNIC(), "node2": guideNIC(), "node3": simhost.Igb82576(),
	} {
		kernels[name] = simhost.New(simhost.Options{NICs: []simhost.NIC{nic}})
		options.Nodes = append(options.Nodes, fleet.Node{Name: name, Kernel: kernels[name]})
	}
	// The components outlive this node of the suite.
	running, err = fleet.Start(context.WithoutCancel(ctx), options)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		Expect(running.Stop()).To(Succeed())
		for _, k := range kernels {
			k.Close()
		}
	})
})

// guideNIC is the NIC of the guide, whose firmware allows three VFs on each port.
func guideNIC() simhost.NIC { return simhost.ConnectX5(simhost.TotalVFs(3)) }
