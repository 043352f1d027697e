package hostfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What the rules rely on, read in systemd's udev-rules.c and tried with version
// 252: ATTR follows folders and links below the netdev's own folder; a pattern
// matches over several lines; an attribute that cannot be read matches nothing,
// with == and with !=; a property that was not set is empty, with both; one
// whose name begins with a dot is forgotten after the event.

// udevRules is empty without devices. VFs are found by their PF, because their
// own addresses are known only when they are there; representors by their PF's
// address, a switch ID and the port name: their switch ID is not known before
// there is one, and the first event is the one that names them.
func udevRules(devices []Device) string {
	if len(devices) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(header)
	b.WriteString("SUBSYSTEM!=\"net\", GOTO=\"sriov_offload_end\"\nACTION==\"remove\", GOTO=\"sriov_offload_end\"\n")
	for _, d := range devices {
		d.rules(&b)
	}
	b.WriteString("LABEL=\"sriov_offload_end\"\n")
	return b.String()
}

// rules of one PF. A netdev whose port name has a "pf" in it stands for a
// function (pf0, pf0vf1, pf0sf2, c1pf0vf1) and must not get the PF's name.
func (d Device) rules(b *strings.Builder) {
	of := fmt.Sprintf(`ATTR{device/uevent}=="*PCI_SLOT_NAME=%s*"`, d.PCIAddress)
	fmt.Fprintf(b, "\n# VFs and VF representors of %s\n", d.PCIAddress)
	fmt.Fprintf(b, "ATTR{device/physfn/uevent}==\"*PCI_SLOT_NAME=%s*\", ENV{NM_UNMANAGED}=\"1\"\n", d.PCIAddress)
	fmt.Fprintf(b, "%s, ATTR{phys_switch_id}==\"?*\", ATTR{phys_port_name}==\"*pf*vf*\", ENV{NM_UNMANAGED}=\"1\"\n", of)
	if d.Netdev == "" || !d.Pin && d.Representors == 0 {
		return
	}
	fmt.Fprintf(b, "# names around %s\n", d.Netdev)
	if d.Pin {
		fmt.Fprintf(b, "%s, ATTR{phys_port_name}==\"*pf*\", ENV{.SRIOV_OFFLOAD_PORT}=\"function\"\n", of)
		fmt.Fprintf(b, "ACTION==\"add\", %s, ENV{.SRIOV_OFFLOAD_PORT}!=\"function\", NAME=\"%s\"\n", of, d.Netdev)
	}
	for i := range d.Representors {
		fmt.Fprintf(b, "ACTION==\"add\", %s, ATTR{phys_switch_id}==\"?*\", ATTR{phys_port_name}==\"pf*vf%d\", NAME=\"%s\"\n",
			of, i, RepresentorName(d.Netdev, i))
	}
}

var ruledPF = regexp.MustCompile(`PCI_SLOT_NAME=([0-9a-f:.]+)\*`)

// PFs returns the addresses of the PFs that texts of our rules are about.
func PFs(rules string) []string {
	var out []string
	for _, m := range ruledPF.FindAllStringSubmatch(rules, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}
