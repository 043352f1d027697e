package apply_test

import (
	"context"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// drawFirmware draws what an Agilio can load, and what keeps it from that.
func (s *scenario) drawFirmware(t *rapid.T, note func(string, simhost.NICOption)) {
	apps := rapid.SampledFrom([][]string{{"nic", "flower"}, {"nic", "flower", "flower-next"}, {"nic", "flower", "flower-next"}}).Draw(t, "firmware files")
	note(fmt.Sprintf("firmware %v", apps), simhost.FirmwareFiles(apps...))
	if suffix := rapid.SampledFrom([]string{"", "", ".zst", ".xz"}).Draw(t, "compressed"); suffix != "" {
		note("compressed "+suffix, simhost.CompressedFirmware(suffix))
	}
	switch rapid.IntRange(0, 11).Draw(t, "firmware parameters") {
	case 9:
		note("never reset", simhost.FirmwareParams(2, 2))
	case 10:
		note("reset always", simhost.FirmwareParams(0, 1))
	case 11:
		note("without parameters", simhost.WithoutFirmwareParams())
	}
	if n := rapid.IntRange(0, 12).Draw(t, "VFs with flower"); n > 8 {
		note(fmt.Sprintf("%d VFs with flower", n-8), simhost.AppVFs("flower", n-8))
	}
	if rapid.IntRange(0, 5).Draw(t, "read-only") == 5 {
		s.opts.ReadOnly = []string{"lib"}
		s.text += " read-only"
	}
}

// firmwarePast draws what an administrator has done on the disk.
func firmwarePast(t *rapid.T, p port) []action {
	link := "lib/firmware/netronome/pci-" + p.address + ".nffw"
	return [][]action{
		nil, nil, nil, nil,
		{{"firmware linked to flower", func(ctx context.Context, k *simhost.Kernel) error {
			_, err := k.Admin().Files.Link(ctx, link, "flower/nic_AMDA0099.nffw")
			return err
		}}},
		{{"firmware linked to nowhere", func(ctx context.Context, k *simhost.Kernel) error {
			_, err := k.Admin().Files.Link(ctx, link, "flower/nic_AMDA0001.nffw")
			return err
		}}},
		{{"firmware of the serial number", func(_ context.Context, k *simhost.Kernel) error {
			return k.PutFile("lib/firmware/"+simhost.SerialFirmware(simhost.AgilioNIC()), simhost.FirmwareImage("nic", "2"))
		}}},
		{{"dracut", func(_ context.Context, k *simhost.Kernel) error { return k.PutFile("etc/dracut.conf.d/a.conf", "a") }}},
		{{"initramfs-tools", func(_ context.Context, k *simhost.Kernel) error {
			return k.PutFile("etc/initramfs-tools/hooks/a", "a")
		}}},
	}[rapid.IntRange(0, 8).Draw(t, "firmware before")]
}

// firmwareOf draws the application that is wanted.
func firmwareOf(t *rapid.T, p port, external bool) string {
	if external {
		return ""
	}
	if !p.fixed {
		return map[bool]string{true: "flower"}[rapid.IntRange(0, 15).Draw(t, "firmware of no use") == 15]
	}
	return rapid.SampledFrom([]string{"", "", "flower", "flower", "flower-next"}).Draw(t, "firmware")
}

func wantsFirmware(spec sriovv1.SriovNetworkNodeStateSpec) bool {
	return slices.ContainsFunc(spec.Interfaces, func(i sriovv1.Interface) bool { return i.FirmwareApp != "" })
}

// modeKept: the mode of an Agilio is never set.
func modeKept(t *turn) error {
	for _, step := range t.plan.Steps() {
		mode, ok := step.(plan.SetEswitchMode)
		if pf := t.observed.PF(step.Device()); ok && pf != nil && pf.Driver == "nfp" {
			return fmt.Errorf("the mode of an Agilio is to be set: %s", mode)
		}
	}
	return nil
}

// loads tells whether the wanted application runs, on ports that are up.
func loads(want *sriovv1.Interface, pf *inventory.PF) error {
	if pf.Driver != "nfp" || pf.Application == nil {
		return nil
	}
	if want.FirmwareApp != "" && pf.Application.Running != "flower" {
		return fmt.Errorf("firmware %s runs", pf.Application.Running)
	}
	for _, n := range pf.Ports() {
		switch {
		case !n.Up:
			return fmt.Errorf("port %s is down", n.Name)
		case n.MTU < want.MTU:
			return fmt.Errorf("port %s has MTU %d", n.Name, n.MTU)
		case pf.Eswitch.Mode == "switchdev" && want.EswitchMode == "switchdev" && !n.HWTCOffload.On:
			return fmt.Errorf("port %s does not offload", n.Name)
		}
	}
	return nil
}
