package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

// scenario is one story that the demo tells: machines, and a policy of
// config/samples that is applied to them.
type scenario struct {
	name string
	// title says what is applied, machines what the nodes are.
	title, machines string
	policy          string
	nodes           func() []fleet.Node
	// ready is how many nodes the policy configures.
	ready int
	// attach is what a scenario shows of a network; nil if it shows none.
	attach *attachment
}

const (
	kinds    = "config/samples/sriovnetwork_v1_"
	samples  = kinds + "sriovnetworknodepolicy_"
	networks = kinds + "offloadnetwork_"
)

// scenarios by name; the first is what make demo shows.
func scenarios() []*scenario {
	return []*scenario{
		{
			name: "switchdev", policy: samples + "kube-ovn.yaml", ready: 2,
			title:    "applying the policy of the Kube-OVN guide, unchanged",
			machines: "three nodes: node1 and node2 with a dual-port ConnectX-5, node3 with an Intel 82576",
			nodes: func() []fleet.Node {
				// As in the guide, whose firmware allows three VFs on each port.
				nic := simhost.ConnectX5(simhost.TotalVFs(3))
				return []fleet.Node{machine("node1", nic), machine("node2", nic), machine("node3", simhost.Igb82576())}
			},
		},
		{
			name: "vf-lag", policy: samples + "vf-lag.yaml", ready: 1,
			title:    "applying a policy that bonds both ports of a NIC, so that the NIC forwards for the bond",
			machines: "one node with a dual-port ConnectX-6 Dx",
			nodes: func() []fleet.Node {
				return []fleet.Node{machine("node1", simhost.ConnectX6Dx(simhost.TotalVFs(16)))}
			},
		},
		{
			name: "agilio", policy: samples + "agilio-corigine.yaml", ready: 1,
			title:    "applying a policy that wants the flower firmware on a NIC that runs another one",
			machines: "one node with a dual-port Corigine Agilio",
			nodes: func() []fleet.Node {
				return []fleet.Node{machine("node1", simhost.AgilioNIC(simhost.FirmwareFiles("nic", "flower")))}
			},
		},
		{
			name: "kube-ovn", policy: samples + "kube-ovn-connectx5.yaml", ready: 1,
			title:    "applying the policy for the networks of the Kube-OVN guide",
			machines: "one node with a dual-port ConnectX-5",
			nodes: func() []fleet.Node {
				return []fleet.Node{machine("node1", simhost.ConnectX5(simhost.TotalVFs(3)))}
			},
			attach: &attachment{network: networks + "kube-ovn.yaml", cni: kubeOVN("ens41f0np0")},
		},
		{
			name: "antrea", policy: samples + "antrea-connectx5.yaml", ready: 1,
			title:    "applying the policy for the network of the Antrea guide",
			machines: "one node with a dual-port ConnectX-5",
			nodes: func() []fleet.Node {
				return []fleet.Node{machine("node1", simhost.ConnectX5(simhost.At("0000:03:00.0")))}
			},
			attach: &attachment{network: networks + "antrea.yaml", cni: antrea()},
		},
	}
}

func machine(name string, nics ...simhost.NIC) fleet.Node {
	return fleet.Node{Name: name, Kernel: simhost.New(simhost.Options{NICs: nics, Delays: simhost.TypicalDelays()})}
}

// scenarioNamed returns a scenario, the first one for an empty name.
func scenarioNamed(name string) (*scenario, error) {
	all := scenarios()
	if name == "" {
		return all[0], nil
	}
	i := slices.IndexFunc(all, func(s *scenario) bool { return s.name == name })
	if i < 0 {
		var names []string
		for _, s := range all {
			names = append(names, s.name)
		}
		return nil, fmt.Errorf("SCENARIO is %q: choose one of %s", name, strings.Join(names, ", "))
	}
	return all[i], nil
}
