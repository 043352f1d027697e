package fleet_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
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
	requests = map[string]*counting.Requests{"manager": {}}
	// probeAddress of node4's daemon.
	probeAddress string
)

// machines are the nodes by name. The guide's policy does not select those with
// labels of their own: they are for other specs.
func machines() map[string]fleet.Node {
	machine := func(nic simhost.NIC) *simhost.Kernel { return simhost.New(simhost.Options{NICs: []simhost.NIC{nic}}) }
	apart := map[string]string{sriovv1.LabelCapable: "false"}
	return map[string]fleet.Node{
		"node1": {Kernel: machine(guideNIC())},
		"node2": {Kernel: machine(guideNIC())},
		"node3": {Kernel: machine(simhost.Igb82576())},
		"node4": {Kernel: machine(guideNIC()), Labels: apart},
		"node5": {Kernel: machine(guideNIC()), Labels: apart},
	}
}

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
	for name, node := range machines() {
		node.Name = name
		kernels[name], requests[name] = node.Kernel, &counting.Requests{}
		options.Nodes = append(options.Nodes, node)
	}
	options.Program = filepath.Join(GinkgoT().TempDir(), "program")
	Expect(os.WriteFile(options.Program, []byte("program"), 0o600)).To(Succeed())
	probeAddress = freeAddress(ctx)
	options.ProbeFor = func(node string) string {
		if node == "node4" {
			return probeAddress
		}
		return "0"
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

// freeAddress is one on which nothing listens.
func freeAddress(ctx context.Context) string {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(l.Close()).To(Succeed()) }()
	return l.Addr().String()
}
