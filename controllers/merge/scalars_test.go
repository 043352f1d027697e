package merge_test

import (
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// on returns spec s for the first port with a priority.
func on(p int, s spec) spec {
	s.Priority = priority(p)
	if s.NumVfs == 0 {
		s.NumVfs = 8
	}
	if len(s.NicSelector.PfNames) == 0 {
		s.NicSelector = pfNames("ens41f0np0")
	}
	return s
}

func TestScalars(t *testing.T) {
	const self = "ens41f0np0"
	tests := []struct {
		name     string
		policies []sriovv1.SriovNetworkNodePolicy
		want     sriovv1.Interface // without address, name and groups
		lost     map[string][]lostValue
	}{
		{
			name: "numVfs and mtu are the maximum of contributors",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{NumVfs: 4, MTU: 1500, NicSelector: pfNames(self + "#0-1")})),
				policy("b", on(2, spec{NumVfs: 8, MTU: 9000, NicSelector: pfNames(self + "#4-7")})),
			},
			want: sriovv1.Interface{NumVfs: 8, MTU: 9000},
		},
		{
			name: "who adds no group and is weaker does not count, and loses what is more",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{NumVfs: 4, MTU: 1500})),
				policy("b", on(2, spec{NumVfs: 8, MTU: 9000})),
			},
			want: sriovv1.Interface{NumVfs: 4, MTU: 1500},
			lost: map[string][]lostValue{"b": {lost(port0, "mtu", "a"), lost(port0, "numVfs", "a"), lost(port0, "numVfs", "a")}},
		},
		{
			name: "who adds no group but has the strongest priority counts",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("b", on(1, spec{NumVfs: 4, MTU: 1500})),
				policy("a", on(1, spec{NumVfs: 8, MTU: 9000, EswitchMode: "switchdev"})),
			},
			want: sriovv1.Interface{NumVfs: 8, MTU: 9000, EswitchMode: "switchdev"},
			lost: map[string][]lostValue{"a": {lost(port0, "numVfs", "b")}},
		},
		{
			name: "the strongest that sets a field wins, unset does not count as set",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{LinkType: "eth", NicSelector: pfNames(self + "#0")})),
				policy("b", on(2, spec{LinkType: "ETH", EswitchMode: "switchdev", FlowSteeringMode: "smfs", NicSelector: pfNames(self + "#1")})),
				policy("c", on(3, spec{LinkType: "ib", EswitchMode: "legacy", FlowSteeringMode: "dmfs", FirmwareApp: "flower", NicSelector: pfNames(self + "#2")})),
			},
			want: sriovv1.Interface{NumVfs: 8, LinkType: "ETH", EswitchMode: "switchdev", FlowSteeringMode: "smfs", FirmwareApp: "flower"},
			lost: map[string][]lostValue{"c": {lost(port0, "eSwitchMode", "b"), lost(port0, "flowSteeringMode", "b"), lost(port0, "linkType", "a")}},
		},
		{
			name: "a policy without VFs on the PF loses fields that nobody else sets",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{})),
				policy("b", on(2, spec{EswitchMode: "switchdev", MTU: 9000})),
			},
			want: sriovv1.Interface{NumVfs: 8},
			lost: map[string][]lostValue{"b": {lost(port0, "eSwitchMode", "a"), lost(port0, "mtu", "a"), lost(port0, "numVfs", "a")}},
		},
		{
			name: "externallyManaged has to agree: the weaker contributes nothing",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{NumVfs: 4, ExternallyManaged: true, NicSelector: pfNames(self + "#0-1")})),
				policy("b", on(2, spec{NumVfs: 8, NicSelector: pfNames(self + "#4-7")})),
				policy("c", on(3, spec{NumVfs: 5, ExternallyManaged: true, NicSelector: pfNames(self + "#4")})),
			},
			want: sriovv1.Interface{NumVfs: 5, ExternallyManaged: true},
			lost: map[string][]lostValue{"b": {lost(port0, "externallyManaged", "a"), lost(port0, "numVfs", "c")}},
		},
		{
			name: "externallyManaged on the weaker side",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{NumVfs: 4, NicSelector: pfNames(self + "#0-1")})),
				policy("b", on(2, spec{NumVfs: 4, ExternallyManaged: true, NicSelector: pfNames(self + "#3")})),
			},
			want: sriovv1.Interface{NumVfs: 4},
			lost: map[string][]lostValue{"b": {lost(port0, "externallyManaged", "a")}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := merge.Compile(tt.policies).Merge(node())
			got := iface(t, r, port0)
			got.PCIAddress, got.Name, got.VfGroups = "", "", nil
			wantDiff(t, "interface", tt.want, got)
			wantDiff(t, "conflicts", tt.lost, lostBy(r))
		})
	}
}

func TestGroupCarriesItsPolicy(t *testing.T) {
	s := spec{
		ResourceName: "cx", ResourcePrefix: "mellanox.com", NumVfs: 4, MTU: 9000, DeviceType: "netdevice", IsRdma: true,
		VdpaType: "vhost", NeedVhostNet: true, ExcludeTopology: true, NicSelector: pfNames("ens41f0np0#1-2"),
	}
	r := merge.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", s)}).Merge(node())
	wantDiff(t, "interfaces", []sriovv1.Interface{{
		PCIAddress: port0, Name: "ens41f0np0", NumVfs: 4, MTU: 9000,
		VfGroups: []sriovv1.VfGroup{{
			ResourceName: "cx", ResourcePrefix: "mellanox.com", DeviceType: "netdevice", VfRange: vfs(1, 2), PolicyName: "p",
			MTU: 9000, IsRdma: true, VdpaType: "vhost", NeedVhostNet: true, ExcludeTopology: true,
		}},
	}}, r.Spec.Interfaces)
}

func ovs(datapath string) sriovv1.Bridge {
	mtu := 1500
	return sriovv1.Bridge{OVS: &sriovv1.OVSConfig{
		Bridge: sriovv1.OVSBridgeConfig{DatapathType: datapath, OtherConfig: map[string]string{"k": "v"}},
		Uplink: sriovv1.OVSUplinkConfig{Interface: sriovv1.OVSInterfaceConfig{MTURequest: &mtu}},
	}}
}

func TestBridge(t *testing.T) {
	const self = "ens41f0np0"
	tests := []struct {
		name     string
		policies []sriovv1.SriovNetworkNodePolicy
		datapath string // of the one bridge; empty: no bridge
		lost     map[string][]lostValue
	}{
		{
			name:     "one policy",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", on(1, spec{EswitchMode: "switchdev", Bridge: ovs("system")}))},
			datapath: "system",
		},
		{
			name: "the strongest that sets it wins, equal ones agree",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{EswitchMode: "switchdev", NicSelector: pfNames(self + "#0")})),
				policy("b", on(2, spec{Bridge: ovs("system"), NicSelector: pfNames(self + "#1")})),
				policy("c", on(3, spec{Bridge: ovs("system"), NicSelector: pfNames(self + "#2")})),
				policy("d", on(4, spec{Bridge: ovs("netdev"), NicSelector: pfNames(self + "#3")})),
			},
			datapath: "system",
			lost:     map[string][]lostValue{"d": {lost(port0, "bridge", "b")}},
		},
		{
			name:     "needs switchdev",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", on(1, spec{Bridge: ovs("system")}))},
			lost:     map[string][]lostValue{"a": {lost(port0, "bridge", "")}},
		},
		{
			name: "a stronger policy took switchdev away",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{EswitchMode: "legacy", NicSelector: pfNames(self + "#0")})),
				policy("b", on(2, spec{EswitchMode: "switchdev", Bridge: ovs("system"), NicSelector: pfNames(self + "#1")})),
			},
			lost: map[string][]lostValue{"b": {lost(port0, "bridge", "a"), lost(port0, "eSwitchMode", "a")}},
		},
		{
			name:     "not on an externally managed PF",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", on(1, spec{EswitchMode: "switchdev", ExternallyManaged: true, Bridge: ovs("system")}))},
			lost:     map[string][]lostValue{"a": {lost(port0, "bridge", "")}},
		},
		{
			name: "of a policy that adds no VFs",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", on(1, spec{EswitchMode: "switchdev"})),
				policy("b", on(2, spec{Bridge: ovs("system")})),
			},
			lost: map[string][]lostValue{"b": {lost(port0, "bridge", "a"), lost(port0, "numVfs", "a")}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := merge.Compile(tt.policies).Merge(node())
			var want []sriovv1.OVSConfigExt
			if tt.datapath != "" {
				bridge := ovs(tt.datapath).OVS
				want = []sriovv1.OVSConfigExt{{
					Name: "br-0000_5f_00.0", Bridge: bridge.Bridge,
					Uplinks: []sriovv1.OVSUplinkConfigExt{{PCIAddress: port0, Name: self, Interface: bridge.Uplink.Interface}},
				}}
			}
			wantDiff(t, "bridges", want, r.Spec.Bridges.OVS)
			wantDiff(t, "conflicts", tt.lost, lostBy(r))
		})
	}
}

// bonded returns a policy spec with a bond over PFs.
func bonded(p int, bond string, pfs ...string) spec {
	return on(p, spec{EswitchMode: "switchdev", Bond: &sriovv1.BondSpec{Name: bond, Mode: "802.3ad"}, NicSelector: pfNames(pfs...)})
}

func TestBonds(t *testing.T) {
	const a0, a1 = "ens41f0np0", "ens41f1np1"
	type bond struct {
		Name, Policy string
		Members      []string
	}
	onNIC := []string{port0, port1}
	tests := []struct {
		name      string
		policies  []sriovv1.SriovNetworkNodePolicy
		inventory func([]sriovv1.InterfaceStatus)
		want      []bond
		lost      map[string][]lostValue
	}{
		{
			name:     "both ports of one NIC",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", a0, a1))},
			want:     []bond{{"bond1", "p", onNIC}},
		},
		{
			name:     "one port",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", a0))},
			lost:     map[string][]lostValue{"p": {lost(port0, "bond", "")}},
		},
		{
			name:     "three PFs",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", a0, a1, "ens5np0"))},
			lost:     map[string][]lostValue{"p": {lost(port0, "bond", "")}},
		},
		{
			name:     "ports of two NICs",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", a1, "ens5np0"))},
			lost:     map[string][]lostValue{"p": {lost(port1, "bond", "")}},
		},
		{
			name:     "ports of one eswitch",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", a1, "ens5np0"))},
			inventory: func(n []sriovv1.InterfaceStatus) {
				n[1].SwitchID, n[2].SwitchID = "1e4a63", "1e4a63"
			},
			want: []bond{{"bond1", "p", []string{port1, other}}},
		},
		{
			name: "not both switchdev",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", on(2, spec{EswitchMode: "switchdev", Bond: &sriovv1.BondSpec{Name: "bond1"}, NicSelector: pfNames(a0+"#1-3", a1+"#1-3")})),
				policy("legacy", on(1, spec{EswitchMode: "legacy", NicSelector: pfNames(a1 + "#0")})),
			},
			lost: map[string][]lostValue{"p": {lost(port0, "bond", "legacy"), lost(port1, "eSwitchMode", "legacy")}},
		},
		{
			name: "without switchdev",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", on(2, spec{Bond: &sriovv1.BondSpec{Name: "bond1"}, NicSelector: pfNames(a0, a1)})),
			},
			lost: map[string][]lostValue{"p": {lost(port0, "bond", "")}},
		},
		{
			name: "different numVfs",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", on(1, spec{NumVfs: 4, EswitchMode: "switchdev", Bond: &sriovv1.BondSpec{Name: "bond1"}, NicSelector: pfNames(a0, a1)})),
				policy("more", on(1, spec{NumVfs: 8, NicSelector: pfNames(a1 + "#6")})),
			},
			lost: map[string][]lostValue{"p": {lost(port0, "bond", "more")}},
		},
		{
			name:     "different groups by itself",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", a0+"#0-3", a1+"#0-2"))},
			lost:     map[string][]lostValue{"p": {lost(port0, "bond", "")}},
		},
		{
			name: "different groups because of another policy",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", bonded(1, "bond1", a0+"#0-3", a1+"#0-3")),
				policy("more", on(2, spec{NicSelector: pfNames(a1 + "#6")})),
			},
			lost: map[string][]lostValue{"p": {lost(port0, "bond", "more")}},
		},
		{
			name: "a group lost on one port",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", bonded(2, "bond1", a0, a1)),
				policy("strong", on(1, spec{NicSelector: pfNames(a1)})),
			},
			lost: map[string][]lostValue{"p": {
				lost(port0, "bond", "strong"), lost(port1, "eSwitchMode", "strong"), lost(port1, "numVfs", "strong"),
			}},
		},
		{
			name:     "malformed range on one port",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(2, "bond1", a0, a1+"#9"))},
			lost:     map[string][]lostValue{"p": {lost(port0, "bond", ""), lost(port1, "nicSelector.pfNames", "")}},
		},
		{
			name: "the very same bond of two policies is one bond",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", bonded(1, "bond1", a0+"#0-3", a1+"#0-3")),
				policy("q", bonded(2, "bond1", a0+"#4-7", a1+"#4-7")),
			},
			want: []bond{{"bond1", "p", onNIC}},
		},
		{
			name: "a policy without VFs shares the bond that a weaker one got",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("s", on(1, spec{EswitchMode: "switchdev", NicSelector: pfNames(a0+"#0-3", a1+"#0-3")})),
				policy("p", bonded(2, "bond1", a0+"#0-3", a1+"#0-3")),
				policy("q", bonded(3, "bond1", a0+"#4-7", a1+"#4-7")),
			},
			want: []bond{{"bond1", "q", onNIC}},
			lost: map[string][]lostValue{"p": {lost(port0, "nicSelector.pfNames", "s"), lost(port1, "nicSelector.pfNames", "s")}},
		},
		{
			name: "different numVfs with the same groups",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", on(1, spec{NumVfs: 4, EswitchMode: "switchdev", Bond: &sriovv1.BondSpec{Name: "bond1"}, NicSelector: pfNames(a0, a1)})),
				policy("more", on(1, spec{NumVfs: 8, NicSelector: pfNames(a1)})),
			},
			lost: map[string][]lostValue{
				"p":    {lost(port0, "bond", "more")},
				"more": {lost(port1, "numVfs", "p")},
			},
		},
		{
			name: "two bonds that have only their second port in common",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("s", on(1, spec{NicSelector: pfNames(a0, a1, "eno1")})), // has all groups, so they are equal
				policy("q", bonded(1, "bond1", "eno1", a1)),
				policy("p", bonded(1, "bond2", a0, a1)),
			},
			inventory: func(n []sriovv1.InterfaceStatus) { n[1].SwitchID, n[3].SwitchID = "1e4a63", "1e4a63" },
			want:      []bond{{"bond1", "q", []string{intel, port1}}},
			lost: map[string][]lostValue{
				"q": {lost(intel, "numVfs", "s"), lost(port1, "numVfs", "s")},
				"p": {lost(port0, "bond", "q"), lost(port0, "numVfs", "s"), lost(port1, "numVfs", "s")},
			},
		},
		{
			name:      "addresses that do not say which NIC a port belongs to",
			policies:  []sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", a0, a1))},
			inventory: func(n []sriovv1.InterfaceStatus) { n[0].PCIAddress, n[1].PCIAddress = "port-a", "port-b" },
			lost:      map[string][]lostValue{"p": {lost("port-a", "bond", "")}},
		},
		{
			name: "two bonds over the same ports",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", bonded(1, "bond1", a0+"#0-3", a1+"#0-3")),
				policy("q", bonded(2, "bond2", a0+"#4-7", a1+"#4-7")),
			},
			want: []bond{{"bond1", "p", onNIC}},
			lost: map[string][]lostValue{"q": {lost(port0, "bond", "p")}},
		},
		{
			name: "one bond name for two NICs",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", bonded(1, "bond1", a0, a1)),
				policy("q", bonded(2, "bond1", "ens5np0", "eno1")),
			},
			inventory: func(n []sriovv1.InterfaceStatus) { n[3].PCIAddress = "0000:86:00.1" },
			want:      []bond{{"bond1", "p", onNIC}},
			lost:      map[string][]lostValue{"q": {lost(other, "bond", "p")}},
		},
		{
			name: "bonds of two NICs are ordered by name",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", bonded(1, "bond2", a0, a1)),
				policy("q", bonded(2, "bond1", "ens5np0", "eno1")),
			},
			inventory: func(n []sriovv1.InterfaceStatus) { n[3].PCIAddress = "0000:86:00.1" },
			want:      []bond{{"bond1", "q", []string{other, "0000:86:00.1"}}, {"bond2", "p", onNIC}},
		},
		{
			name: "externally managed",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("p", on(1, spec{EswitchMode: "switchdev", ExternallyManaged: true, Bond: &sriovv1.BondSpec{Name: "bond1"}, NicSelector: pfNames(a0, a1)})),
			},
			lost: map[string][]lostValue{"p": {lost(port0, "bond", "")}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := node()
			if tt.inventory != nil {
				tt.inventory(n.Interfaces)
			}
			r := merge.Compile(tt.policies).Merge(n)
			var got []bond
			for _, b := range r.Spec.Bonds {
				got = append(got, bond{b.Name, b.PolicyName, b.Members})
			}
			wantDiff(t, "bonds", tt.want, got)
			wantDiff(t, "conflicts", tt.lost, lostBy(r))
		})
	}
}

func TestResultIsNotSharedWithTheSet(t *testing.T) {
	miimon := 100
	s := bonded(1, "bond1", "ens41f0np0", "ens41f1np1")
	s.Bond.MiimonMilliseconds = &miimon
	s.Bridge = ovs("system")
	set := merge.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", s)})
	want := set.Merge(node())

	miimon = 1 // the input after compiling
	s.Bridge.OVS.Bridge.OtherConfig["k"] = "changed"
	spoilt := set.Merge(node()) // and a result
	spoilt.Spec.Bonds[0].Members[0] = "changed"
	*spoilt.Spec.Bonds[0].MiimonMilliseconds = 2
	spoilt.Spec.Bridges.OVS[0].Bridge.OtherConfig["k"] = "changed"
	*spoilt.Spec.Bridges.OVS[0].Uplinks[0].Interface.MTURequest = 3
	spoilt.Policies["p"].MatchedPFs[0] = "changed"

	wantDiff(t, "second merge", want, set.Merge(node()))
}
