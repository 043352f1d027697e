package changes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/plan/changes"
)

// wanted is what each change takes from whom: pods shop/web and shop/db hold VF 1
// of the first group and VF 5 of the second.
var wanted = []struct{ what, effect string }{
	{"`numVfs` is raised",
		"steps UnbindVF SetEswitchMode RemoveVFs SetAutoprobe SetLinkUp SetHWTCOffload CreateVFs AwaitRepresentors SetRepresentorHWTCOffload BindVF SetVFAdminMAC; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"`numVfs` is lowered",
		"steps UnbindVF SetEswitchMode RemoveVFs SetAutoprobe SetLinkUp SetHWTCOffload CreateVFs AwaitRepresentors SetRepresentorHWTCOffload BindVF SetVFAdminMAC; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"`numVfs` becomes 0",
		"steps RemoveVFs AwaitRepresentors; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"the last policy for the PF is removed",
		"steps UnbindVF SetEswitchMode RemoveVFs; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"the same, where the VFs were there before and only the PF's `mtu` was raised",
		"steps SetMTU; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"a VF range grows over VFs of no group, within `numVfs`",
		"steps SetVFAdminMAC; VFs 3; disruption None"},
	{"a VF range shrinks",
		"disruption None"},
	{"one of two policies for the PF is removed",
		"disruption None"},
	{"`resourceName`, `resourcePrefix`, `needVhostNet` or `excludeTopology` of a group",
		"disruption None"},
	{"`deviceType` of a group from `netdevice` to `vfio-pci`",
		"steps BindVF; VFs 4 5 6 7; disruption VFPods shop/db"},
	{"`deviceType` of a group from `vfio-pci` to `netdevice`",
		"steps BindVF SetVFAdminMAC; VFs 4 5 6 7; disruption VFPods shop/db"},
	{"`mtu` of a group is raised above the PF's",
		"steps SetMTU SetVFMTU; VFs 4 6 7; waiting 5; disruption None"},
	{"`mtu` of a group is lowered",
		"steps SetVFMTU; VFs 4 6 7; waiting 5; disruption None"},
	{"`isRdma` of a group becomes true",
		"steps RebindVF; VFs 4 6 7; waiting 5; disruption None"},
	{"`isRdma` of a group becomes false",
		"disruption None"},
	{"`vdpaType` of a group is set",
		"steps CreateVDPA; VFs 4 5 6 7; disruption VFPods shop/db"},
	{"`vdpaType` of a group from `vhost` to `virtio`",
		"steps BindVDPA; VFs 4 5 6 7; disruption VFPods shop/db"},
	{"`vdpaType` of a group is removed",
		"steps RemoveVDPA; VFs 4 5 6 7; disruption VFPods shop/db"},
	{"InfiniBand: a VF range grows over VFs of no group, which have no GUID",
		"steps SetVFGUID RebindVF; VFs 3; disruption None"},
	{"`eSwitchMode` from `legacy` to `switchdev`",
		"steps RemoveVFs SetAutoprobe SetHWTCOffload CreateVFs SetEswitchMode AwaitRepresentors SetLinkUp SetRepresentorHWTCOffload BindVF SetVFAdminMAC; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"`eSwitchMode` from `switchdev` to `legacy`",
		"steps UnbindVF SetEswitchMode RemoveVFs SetAutoprobe SetLinkUp CreateVFs BindVF SetVFAdminMAC; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"`flowSteeringMode` in switchdev mode",
		"steps UnbindVF SetEswitchMode RemoveVFs SetSteeringMode SetAutoprobe SetLinkUp SetHWTCOffload CreateVFs AwaitRepresentors SetRepresentorHWTCOffload BindVF SetVFAdminMAC; VFs 0 1 2 3 4 5 6 7; disruption VFPods shop/db shop/web"},
	{"`flowSteeringMode` in legacy mode",
		"steps SetSteeringMode; disruption None"},
	{"`externallyManaged` becomes true",
		"disruption None"},
	{"`externallyManaged` becomes false",
		"disruption None"},
	{"a policy for the other port of the card",
		"steps SetAutoprobe CreateVFs BindVF SetVFAdminMAC; disruption None"},
	{"`numVfs` is raised and a group wants `vfio-pci`, on a machine without IOMMU",
		"blockers NoIOMMUGroup; disruption None"},
	{"`deviceType` of a group becomes `vfio-pci`, where VT-d is on in the BIOS and the kernel does not use it",
		"steps SetKernelArguments Reboot; blockers NoIOMMUGroup; disruption Reboot"},
	{"the same, on a machine without a tool for its boot loader",
		"blockers KernelArgumentsUnset NoIOMMUGroup; disruption None"},
	{"found: the driver of a VF was taken away",
		"steps BindVF; VFs 6; disruption None"},
	{"found: a VF was given another MTU",
		"steps SetVFMTU; VFs 6; waiting 5; disruption None"},
	{"found: the PF's link is down",
		"steps SetLinkUp; disruption None"},
	{"found: hw-tc-offload of a representor is off",
		"steps SetRepresentorHWTCOffload; disruption None"},
	{"found: a VF has left the bus",
		"steps UnbindVF SetEswitchMode RemoveVFs SetAutoprobe SetLinkUp SetHWTCOffload CreateVFs AwaitRepresentors SetRepresentorHWTCOffload BindVF SetVFAdminMAC; VFs 0 1 2 3 4 5 6; disruption VFPods shop/db shop/web"},
}

func text(e changes.Effect) string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("steps", strings.Join(e.Steps, " "))
	add("VFs", strings.Trim(fmt.Sprint(e.VFs), "[]"))
	add("waiting", strings.Trim(fmt.Sprint(e.Waiting), "[]"))
	add("blockers", strings.Join(e.Blockers, " "))
	add("disruption", strings.TrimSpace(string(e.Disruption)+" "+strings.Join(e.Pods, " ")))
	return strings.Join(parts, "; ")
}

// Every change takes what the table says, no more.
func TestChanges(t *testing.T) {
	cases := changes.Cases()
	var got, want []string
	for i := range cases {
		got = append(got, cases[i].What+": "+text(cases[i].Effect()))
	}
	for _, w := range wanted {
		want = append(want, w.what+": "+w.effect)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

// The machine before a change is as it is wanted: what the plan has in it comes of
// the change.
func TestSettled(t *testing.T) {
	cases := changes.Cases()
	for i := range cases {
		if len(cases[i].Before) == 0 {
			t.Errorf("%s: nothing is wanted before", cases[i].What)
		}
		if e := cases[i].Settled(); len(e.Steps) > 0 || len(e.Blockers) > 0 {
			t.Errorf("%s: without the change, %s", cases[i].What, text(e))
		}
	}
}
