package plan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestScenarios plans for the machines and specs in testdata. A file has
//
//	machine     how the simulated machine came to be, one command a line
//	spec.yaml   the spec of the node state
//	ledger.json what is ours, optional
//	plan        what Compute and Disruption say of it
//	host        files on the host and warnings, optional
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, host := planText(t, archive)
			if golden := section(archive, "host"); golden != nil && !*update && string(golden) != host {
				t.Errorf("host (-golden +got):\n%s", cmp.Diff(string(golden), host))
			}
			if *update {
				setSection(archive, "plan", got)
				if section(archive, "host") != nil {
					setSection(archive, "host", host)
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(section(archive, "plan")), got); diff != "" {
				t.Errorf("plan (-golden +got):\n%s", diff)
			}
		})
	}
}

func section(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func setSection(a *txtar.Archive, name, data string) {
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = []byte(data)
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(data)})
}

// planText plans for a scenario and writes the plan down, one step a line, with
// a line between stages that have to wait for each other left out when they have
// one step each.
func planText(t *testing.T, a *txtar.Archive) (planned, onHost string) {
	t.Helper()
	in, observed := inputOf(t, a)
	p := plan.Compute(in)
	return text(p, observed), hostText(p)
}

// inputOf is what a scenario plans from.
func inputOf(t *testing.T, a *txtar.Archive) (plan.Input, inventory.Node) {
	t.Helper()
	k := newMachine(t, string(section(a, "machine")))
	defer k.Close()
	in := plan.Input{Drivers: driver.Default()}
	if err := yaml.UnmarshalStrict(section(a, "spec.yaml"), &in.Spec); err != nil {
		t.Fatalf("spec.yaml: %v", err)
	}
	if data := section(a, "ledger.json"); data != nil {
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in.Owned); err != nil {
			t.Fatalf("ledger.json: %v", err)
		}
	}
	var err error
	if in.Observed, err = observe.Node(t.Context(), k.Admin()); err != nil {
		t.Fatal(err)
	}
	return in, in.Observed
}

func text(p plan.Plan, observed inventory.Node) string {
	var b strings.Builder
	for _, c := range p.Chains {
		if c.OfNode() {
			continue
		}
		fmt.Fprintf(&b, "chain %s\n", strings.Join(c.PFs, " "))
		for _, stage := range c.Stages {
			for i, s := range stage {
				mark := "-"
				if i > 0 {
					mark = "|"
				}
				fmt.Fprintf(&b, "  %s %s\n", mark, withoutDevice(c, s))
			}
		}
	}
	for _, blocked := range p.Blockers {
		fmt.Fprintf(&b, "blocker %s %s: %s\n", blocked.PF, blocked.Code, blocked.Message)
		if blocked.Remedy == "" {
			fmt.Fprintln(&b, "  NO REMEDY")
		}
	}
	for _, w := range p.Waiting {
		fmt.Fprintf(&b, "waiting %s\n", w)
	}
	for _, pf := range p.Released {
		fmt.Fprintf(&b, "released %s\n", pf)
	}
	for _, bond := range p.ReleasedBonds {
		fmt.Fprintf(&b, "released bond %s\n", bond)
	}
	for _, pf := range p.ReleasedBridges {
		fmt.Fprintf(&b, "released bridge of %s\n", pf)
	}
	for _, key := range p.Answered {
		fmt.Fprintf(&b, "answered %s\n", key)
	}
	for _, pf := range p.Unneeded {
		fmt.Fprintf(&b, "unneeded %s\n", pf)
	}
	disruption, pods := plan.Disruption(p, observed)
	fmt.Fprintf(&b, "disruption %s %s\n", disruption, strings.Join(pods, " "))
	return b.String()
}

// withoutDevice leaves the PF out of a step's text if the chain has no other.
func withoutDevice(c plan.Chain, s plan.Step) string {
	if len(c.PFs) > 1 {
		return s.String()
	}
	return strings.TrimPrefix(s.String(), s.Device()+": ")
}

// newMachine builds a machine from commands:
//
//	nic cx4lx|cx5|cx6dx|vpi|igb|e810|bnxt|flower|nfp|newcomer [OPTION...]
//	noiommu            nopods             steering PF MODE   inline PF MODE
//	nomodule NAME      vdpa PF VF TYPE    guid PF VF GUID    mac PF VF MAC
//	numvfs PF N        mode PF MODE           autoprobe PF 0|1
//	mtu NETDEV N       offload NETDEV on|off  up NETDEV        down NETDEV
//	unbind PF VF       bind PF VF DRIVER      override PF VF DRIVER
//	pod PF VF POD      hostpod PF VF POD      bond NAME NETDEV
//	unbindpf PF        network NETDEV WHY...
//	makebond NAME OPTION...  join BOND NETDEV    leave NETDEV
//	keepmac PF VF      iommuoff           bootloader TOOL ARG...  unloaded MODULE
//	ovs ...            see runOVS
//	networkmanager     readonly FOLDER
//	rename NETDEV NAME file PATH TEXT... (\n ends a line)
//	readonly FOLDER    file PATH TEXT...      symlink PATH TARGET   searchpath FOLDER
//	serial PF          (a firmware file of the card's serial number)
func newMachine(t testing.TB, script string) *simhost.Kernel {
	t.Helper()
	var opts simhost.Options
	var rest [][]string
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "nic":
			opts.NICs = append(opts.NICs, nic(t, words[1:]))
		case words[0] == "noiommu":
			opts.NoIOMMU = true
		case words[0] == "iommuoff":
			opts.IOMMUOff = true
		case words[0] == "bootloader":
			opts.BootLoader = simhost.BootLoader{Tool: words[1], Arguments: words[2:]}
		case words[0] == "unloaded":
			opts.Unloaded = append(opts.Unloaded, words[1])
		case words[0] == "nomodule":
			opts.NoModules = append(opts.NoModules, words[1])
		case words[0] == "networkmanager":
			opts.NetworkManager = true
		case words[0] == "readonly":
			opts.ReadOnly = append(opts.ReadOnly, words[1])
		default:
			rest = append(rest, words)
		}
	}
	m := &machine{t: t, k: simhost.New(opts)}
	m.h = m.k.Admin()
	for _, words := range rest {
		if err := m.run(words[0], words[1:]); err != nil {
			t.Fatalf("%s: %v", strings.Join(words, " "), err)
		}
	}
	return m.k
}

func nic(t testing.TB, words []string) simhost.NIC {
	t.Helper()
	var opts []simhost.NICOption
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "at":
			opts = append(opts, simhost.At(value))
		case "total":
			n, _ := strconv.Atoi(value)
			opts = append(opts, simhost.TotalVFs(n))
		case "down":
			opts = append(opts, simhost.Down())
		case "noeswitch":
			opts = append(opts, simhost.WithoutEswitch())
		case "infiniband":
			opts = append(opts, simhost.Infiniband())
		case "compat":
			opts = append(opts, simhost.CompatSteering())
		case "silent":
			opts = append(opts, simhost.SilentGUIDs())
		case "nordma":
			opts = append(opts, simhost.WithoutRDMA())
		case "nosteering":
			opts = append(opts, simhost.WithoutSteering())
		case "board":
			id, media, _ := strings.Cut(value, "_")
			opts = append(opts, simhost.Board(id, media))
		case "apps":
			opts = append(opts, simhost.FirmwareFiles(strings.Split(value, ",")...))
		case "flash":
			opts = append(opts, simhost.FlashFirmware(value))
		case "suffix":
			opts = append(opts, simhost.CompressedFirmware(value))
		case "params":
			policy, reset, _ := strings.Cut(value, ",")
			p, _ := strconv.Atoi(policy)
			r, _ := strconv.Atoi(reset)
			opts = append(opts, simhost.FirmwareParams(p, r))
		default:
			t.Fatalf("nic option %s", w)
		}
	}
	make := map[string]func(...simhost.NICOption) simhost.NIC{
		"cx4lx": simhost.ConnectX4Lx, "cx5": simhost.ConnectX5, "cx6dx": simhost.ConnectX6Dx, "igb": simhost.Igb82576,
		"e810": simhost.E810, "bnxt": simhost.BCM57414, "flower": simhost.AgilioFlower, "nfp": simhost.AgilioNIC,
		"newcomer": simhost.Newcomer, "vpi": simhost.ConnectX6VPI,
	}[words[0]]
	if make == nil {
		t.Fatalf("nic %s", words[0])
	}
	return make(opts...)
}

type machine struct {
	t testing.TB
	k *simhost.Kernel
	h host.Host
}

func (m *machine) write(path, value string) error {
	return m.h.FS.WriteFile(m.t.Context(), path, []byte(value))
}

func (m *machine) pci(address, attribute, value string) error {
	return m.write("sys/bus/pci/devices/"+address+"/"+attribute, value)
}

func (m *machine) vf(pf, index string) string {
	m.t.Helper()
	target, err := m.h.FS.ReadLink(m.t.Context(), "sys/bus/pci/devices/"+pf+"/virtfn"+index)
	if err != nil {
		m.t.Fatal(err)
	}
	return filepath.Base(target)
}

func (m *machine) link(name string) int {
	m.t.Helper()
	list, err := m.h.Links.List(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, l := range list {
		if l.Name == name {
			return l.Index
		}
	}
	m.t.Fatalf("no link %s", name)
	return 0
}

func (m *machine) run(command string, args []string) error {
	ctx := m.t.Context()
	switch command {
	case "numvfs":
		return m.pci(args[0], "sriov_numvfs", args[1])
	case "autoprobe":
		return m.pci(args[0], "sriov_drivers_autoprobe", args[1])
	case "mode":
		return m.h.Devlink.SetEswitchMode(ctx, host.DevlinkOf(args[0]), args[1])
	case "steering":
		return m.h.Devlink.SetParam(ctx, host.DevlinkOf(args[0]), "flow_steering_mode", args[1])
	case "inline":
		return m.h.Devlink.SetInlineMode(ctx, host.DevlinkOf(args[0]), args[1])
	case "mtu":
		n, _ := strconv.Atoi(args[1])
		return m.h.Links.SetMTU(ctx, m.link(args[0]), n)
	case "offload":
		return m.h.Ethtool.SetFeature(ctx, args[0], host.FeatureHWTCOffload, args[1] == "on")
	case "up", "down":
		return m.h.Links.SetUp(ctx, m.link(args[0]), command == "up")
	case "unbind":
		return m.pci(m.vf(args[0], args[1]), "driver/unbind", m.vf(args[0], args[1]))
	case "unbindpf":
		return m.pci(args[0], "driver/unbind", args[0])
	case "bind":
		return m.write("sys/bus/pci/drivers/"+args[2]+"/bind", m.vf(args[0], args[1]))
	case "override":
		return m.pci(m.vf(args[0], args[1]), "driver_override", args[2])
	case "pod":
		return m.k.AssignVF(m.vf(args[0], args[1]), args[2])
	case "hostpod":
		return m.k.AssignVF(m.vf(args[0], args[1]), args[2], simhost.KeepNetdev)
	case "nopods":
		m.k.PodsUnavailable(errors.New("the kubelet does not answer"))
	case "vdpa":
		return m.vdpa(m.vf(args[0], args[1]), args[2])
	case "guid":
		return m.h.Links.SetVFGUID(ctx, m.uplink(args[0]), number(args[1]), args[2])
	case "mac":
		return m.h.Links.SetVFMAC(ctx, m.uplink(args[0]), number(args[1]), args[2])
	case "network":
		m.k.SetNodeNetwork(args[0], strings.Join(args[1:], " "))
	case "symlink":
		_, err := m.h.Files.Link(ctx, args[0], args[1])
		return err
	case "searchpath":
		return m.write("sys/module/firmware_class/parameters/path", args[0])
	case "serial":
		return m.k.PutFile("lib/firmware/"+simhost.SerialFirmware(simhost.AgilioNIC(simhost.At(args[0]))), "nffw nic 1")
	case "bond":
		return errors.Join(m.k.AddBond(args[0], simhost.BondOptions{Mode: "active-backup"}), m.k.Enslave(args[0], args[1]))
	case "ovs":
		return m.runOVS(args)
	case "rename":
		return m.k.RenameLink(args[0], args[1])
	case "file":
		return m.k.PutFile(args[0], strings.ReplaceAll(strings.Join(args[1:], " "), `\n`, "\n"))
	default:
		return m.bonding(command, args)
	}
	return nil
}

// vdpa makes a vDPA device of a VF as an administrator would.
func (m *machine) vdpa(vf, kind string) error {
	ctx, name := m.t.Context(), inventory.VDPAName(vf)
	if err := m.h.VDPA.Create(ctx, name, host.DevlinkOf(vf)); err != nil {
		return err
	}
	target, err := m.h.FS.ReadLink(ctx, "sys/bus/vdpa/devices/"+name+"/driver")
	now, want := filepath.Base(target), inventory.VDPADriver(kind)
	if err != nil || now == want {
		return err
	}
	return errors.Join(m.write("sys/bus/vdpa/drivers/"+now+"/unbind", name), m.write("sys/bus/vdpa/drivers/"+want+"/bind", name))
}

// uplink is the ifindex of a PF's netdev.
func (m *machine) uplink(pf string) int {
	m.t.Helper()
	list, err := m.h.Links.List(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, l := range list {
		if l.ParentDevice == pf && !strings.Contains(l.PortName, "vf") {
			return l.Index
		}
	}
	m.t.Fatalf("no link of %s", pf)
	return 0
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// guideSpec is what the policy of the Kube-OVN guide leads to on one port.
func guideSpec(pf string, vfs int) sriovv1.Interface {
	return sriovv1.Interface{
		PCIAddress: pf, NumVfs: vfs, EswitchMode: sriovv1.EswitchModeSwitchdev,
		VfGroups: []sriovv1.VfGroup{{
			ResourceName: "cx_sriov_switchdev", DeviceType: sriovv1.DeviceTypeNetdevice,
			VfRange: sriovv1.VFRange{First: 0, Last: vfs - 1}, PolicyName: "policy",
		}},
	}
}

// A spec that was not computed yet means nothing, even when PFs are ours.
func TestNotComputed(t *testing.T) {
	k := newMachine(t, "nic cx5\nnumvfs 0000:5f:00.0 2")
	defer k.Close()
	observed, err := observe.Node(t.Context(), k.Admin())
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Compute(plan.Input{
		Spec:     sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{guideSpec("0000:5f:00.1", 3)}},
		Observed: observed,
		Owned:    ledger.Record{PFs: map[string]ledger.PF{"0000:5f:00.0": {OwnsVFs: true}}},
		Drivers:  driver.Default(),
	})
	if diff := cmp.Diff(plan.Plan{}, p); diff != "" {
		t.Errorf("plan of a spec that was not computed:\n%s", diff)
	}
}
