package hostfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Paths of our files, below the root of the host.
const (
	// UdevRules comes after the rules of those who name netdevs by hand, which are
	// numbered 70 by custom, and before systemd's 80-net-setup-link.rules, which
	// leaves alone what has a name (systemd, rules.d/80-net-setup-link.rules).
	UdevRules = "etc/udev/rules.d/79-sriov-offload-operator.rules"
	// NetworkManagerConf is read by NetworkManager together with its own file.
	NetworkManagerConf = "etc/NetworkManager/conf.d/sriov-offload-operator.conf"
	// ModprobeConf sets options of modules when they are loaded.
	ModprobeConf = "etc/modprobe.d/sriov-offload-operator.conf"
	// NetworkManagerFolder is there where NetworkManager is installed.
	NetworkManagerFolder = "etc/NetworkManager"
)

// Paths returns all of them, ordered.
func Paths() []string { return []string{NetworkManagerConf, ModprobeConf, UdevRules} }

// marker is the first line of every file of ours.
const marker = "# Written by sriov-offload-operator."

// header tells a person who finds the file what it is.
const header = marker + ` Changes are overwritten.
# To remove it, take the node out of all policies, or run
# "sriov-offload-operator daemon cleanup" on the node.
`

// Ours tells whether the content of a file was written by us.
func Ours(content string) bool { return strings.HasPrefix(content, marker) }

// Device is a PF that the files are about.
type Device struct {
	PCIAddress string
	// Netdev is the name of its netdev; that of a representor is made of it. Empty
	// if there is none.
	Netdev string
	// Pin keeps the name: the driver's port name changes with the eswitch mode, and
	// predictable names are made of it.
	Pin bool
	// VFs is how many VFs it is to have, Representors how many of them have a
	// representor.
	VFs, Representors int
}

// Problem is what cannot be said in a file.
type Problem struct {
	PCIAddress string
	// Message says which name it is about and what is wrong with it.
	Message string
}

// File is one file as it should be. Without Content there should be none.
type File struct{ Path, Content string }

// Render returns the files for these devices, ordered by path, and what is
// missing in them. Those of NetworkManager are for hosts that have it.
func Render(devices []Device, networkManager bool) ([]File, []Problem) {
	devices = slices.SortedFunc(slices.Values(devices), func(a, b Device) int { return cmp.Compare(a.PCIAddress, b.PCIAddress) })
	var problems []Problem
	var sound []Device
	for _, d := range devices {
		d, found := d.checked()
		problems = append(problems, found...)
		if d.PCIAddress != "" {
			sound = append(sound, d)
		}
	}
	conf := File{Path: NetworkManagerConf}
	if networkManager {
		conf.Content = networkManagerConf(sound)
	}
	return []File{conf, {Path: UdevRules, Content: udevRules(sound)}}, problems
}

// maxName is IFNAMSIZ of include/uapi/linux/if.h, without the terminating zero.
const maxName = 15

var (
	// sound names mean themselves in a udev rule, in a pattern and in a keyfile. The
	// kernel takes almost everything: dev_valid_name in net/core/dev.c.
	soundName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	soundPCI  = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$`)
)

// SoundName tells whether a netdev's name may go into a file.
func SoundName(name string) bool { return len(name) <= maxName && soundName.MatchString(name) }

// RepresentorName is the name of a VF's representor: that of the PF's netdev, an
// underscore, and the index of the VF: "ens1f0np0_3".
func RepresentorName(netdev string, vf int) string { return fmt.Sprintf("%s_%d", netdev, vf) }

// checked takes out of a device what cannot be said. A device with nothing to say
// has no PCI address.
func (d Device) checked() (Device, []Problem) {
	if !soundPCI.MatchString(d.PCIAddress) {
		return Device{}, []Problem{{d.PCIAddress, fmt.Sprintf("%q is no PCI address that a rule can name", d.PCIAddress)}}
	}
	if d.Netdev != "" && !SoundName(d.Netdev) {
		p := Problem{d.PCIAddress, fmt.Sprintf("the netdev's name %q has characters that mean something else in a rule: it is not kept, and representors are not named after it", d.Netdev)}
		d.Netdev, d.Pin = "", false
		return d, []Problem{p}
	}
	if d.Representors == 0 || d.Netdev == "" {
		return d, nil
	}
	if last := RepresentorName(d.Netdev, d.Representors-1); len(last) > maxName {
		p := Problem{d.PCIAddress, fmt.Sprintf("representors are not named: %s would be longer than the %d characters of a netdev's name", last, maxName)}
		d.Representors = 0
		return d, []Problem{p}
	}
	return d, nil
}

// networkManagerConf is for NetworkManager where udev's word does not reach it: a
// netdev that is there before udev has seen it. Names are exact, because a
// pattern would take in VLANs of the PF.
func networkManagerConf(devices []Device) string {
	var names []string
	for _, d := range devices {
		for _, name := range d.foreignNames() {
			names = append(names, "interface-name:="+name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return header + "[keyfile]\nunmanaged-devices+=" + strings.Join(names, ";") + "\n"
}

// foreignNames are names that VFs and representors may have.
func (d Device) foreignNames() []string {
	if d.Netdev == "" {
		return nil
	}
	var out []string
	for i := range d.Representors {
		out = append(out, RepresentorName(d.Netdev, i))
	}
	for i := range d.VFs {
		for _, base := range slices.Compact([]string{withoutPort(d.Netdev), d.Netdev}) {
			if name := fmt.Sprintf("%sv%d", base, i); len(name) <= maxName {
				out = append(out, name)
			}
		}
	}
	return out
}

var portSuffix = regexp.MustCompile(`np[0-9]+$`)

// withoutPort is a predictable name without the port: the names of VFs are made
// of it (systemd.net-naming-scheme).
func withoutPort(netdev string) string {
	if base := portSuffix.ReplaceAllString(netdev, ""); base != "" {
		return base
	}
	return netdev
}
