package boot

import (
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
)

// parsed reads a unit strictly: every line is a comment, a section or one of the
// settings that we know and mean.
func parsed(t *testing.T, name string) map[string][]string {
	t.Helper()
	content, err := units.ReadFile("units/" + name)
	if err != nil {
		t.Fatal(err)
	}
	options, err := unit.DeserializeOptions(strings.NewReader(string(content)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	known := map[string]string{
		"Description": "Unit", "Documentation": "Unit", "DefaultDependencies": "Unit", "Conflicts": "Unit", "Wants": "Unit", "After": "Unit",
		"Before": "Unit", "Type": "Service", "RemainAfterExit": "Service", "ExecStart": "Service", "TimeoutStartSec": "Service",
		"TimeoutStopSec": "Service", "ProtectSystem": "Service", "ReadWritePaths": "Service", "ProtectHome": "Service", "ProtectHostname": "Service",
		"ProtectClock": "Service", "ProtectControlGroups": "Service", "NoNewPrivileges": "Service", "LockPersonality": "Service",
		"MemoryDenyWriteExecute": "Service", "RestrictRealtime": "Service", "RestrictSUIDSGID": "Service", "RestrictNamespaces": "Service",
		"RestrictAddressFamilies": "Service", "SystemCallArchitectures": "Service", "CapabilityBoundingSet": "Service", "WantedBy": "Install",
	}
	out := map[string][]string{}
	for _, o := range options {
		if known[o.Name] != o.Section {
			t.Errorf("%s: [%s] %s is unknown there", name, o.Section, o.Name)
		}
		if o.Name == "ExecStart" && len(out[o.Name]) > 0 {
			t.Errorf("%s executes two programs", name)
		}
		out[o.Name] = append(out[o.Name], strings.Fields(o.Value)...)
	}
	return out
}

func contains(t *testing.T, u map[string][]string, setting string, values ...string) {
	t.Helper()
	for _, v := range values {
		if !slices.Contains(u[setting], v) {
			t.Errorf("%s lacks %s", setting, v)
		}
	}
}

// The order is the whole point: VFs and modes before anything configures the
// network, drivers of VFs after it and before any pod.
func TestUnitOrder(t *testing.T) {
	early, late := parsed(t, Early.unit()), parsed(t, Late.unit())
	contains(t, early, "Before", "network-pre.target", "NetworkManager.service", "systemd-networkd.service", "networking.service",
		"ovsdb-server.service", "ovs-vswitchd.service", "openvswitch-switch.service", "openvswitch.service", "shutdown.target", Late.unit())
	contains(t, early, "Wants", "network-pre.target", "systemd-udev-settle.service")
	contains(t, early, "After", "systemd-udev-settle.service", "local-fs.target")
	contains(t, early, "DefaultDependencies", "no")
	contains(t, early, "Conflicts", "shutdown.target")
	contains(t, late, "After", Early.unit(), "network.target", "network-online.target")
	contains(t, late, "Wants", "network-online.target")
	contains(t, late, "Before", "kubelet.service", "k3s.service", "k3s-agent.service", "rke2-agent.service")
	if late["DefaultDependencies"] != nil {
		t.Error("the late unit needs what default dependencies bring")
	}
	for _, u := range []map[string][]string{early, late} {
		for _, after := range u["After"] {
			if slices.Contains(u["Before"], after) {
				t.Errorf("%s is before and after", after)
			}
		}
	}
}

func TestUnitService(t *testing.T) {
	for _, p := range phases() {
		u := parsed(t, p.unit())
		if got, want := strings.Join(u["ExecStart"], " "), "/"+programPath+" daemon boot --phase "+string(p); got != want {
			t.Errorf("%s executes %q, want %q", p.unit(), got, want)
		}
		contains(t, u, "Type", "oneshot")
		contains(t, u, "RemainAfterExit", "yes")
		contains(t, u, "TimeoutStartSec", "300")
		contains(t, u, "WantedBy", "multi-user.target")
		contains(t, u, "ProtectSystem", "strict")
		// State, ledger and results are there.
		contains(t, u, "ReadWritePaths", "/"+folder)
		contains(t, u, "CapabilityBoundingSet", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYSLOG")
		// Netlink, ethtool's ioctl and the kubelet's socket.
		contains(t, u, "RestrictAddressFamilies", "AF_NETLINK", "AF_INET", "AF_UNIX")
		for _, forbidden := range []string{"ProtectKernelTunables", "PrivateNetwork", "PrivateDevices"} {
			if u[forbidden] != nil {
				t.Errorf("%s takes away what the program works on", forbidden)
			}
		}
	}
	if timeout := defaultTimeout.Seconds(); timeout >= 300 {
		t.Errorf("a phase may take %v s, so that no time is left for its result", timeout)
	}
}
