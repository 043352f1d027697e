package conflict

import (
	"path"
	"slices"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// Place is a folder with configuration of others.
type Place struct {
	// Folder below the root of the host.
	Folder string
	// Layer names what a file overrides: one with the same name in a later place of
	// the same layer does not count. Empty for none.
	Layer string
	// Suffixes of the files that count; empty for all.
	Suffixes []string
	// DropIns tells that "NAME.d/*.conf" adds to the file NAME.
	DropIns bool
	// Names, if any, are the only files of interest.
	Names []string

	parse func(file) ([]inventory.Claim, error)
}

// Counts tells whether a file of the place is read by its owner.
func (p *Place) Counts(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") {
		return false
	}
	if len(p.Names) > 0 {
		return slices.Contains(p.Names, name)
	}
	return len(p.Suffixes) == 0 || slices.Contains(p.Suffixes, path.Ext(name))
}

// Claims returns what a file of the place says about SR-IOV. Content has that of
// the drop-ins at its end.
func (p *Place) Claims(name, content string) ([]inventory.Claim, error) {
	return p.parse(file{source: path.Join(p.Folder, name), name: name, content: content})
}

// file is one file of somebody else's.
type file struct{ source, name, content string }

// mentions tells whether a file has one of these words, in whatever case.
func (f file) mentions(words ...string) bool {
	content := strings.ToLower(f.content)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(content, w) })
}

// Places returns all of them, those that override others first.
func Places() []Place {
	var out []Place
	add := func(p Place, folders ...string) {
		for _, folder := range folders {
			p.Folder = folder
			out = append(out, p)
		}
	}
	// NetworkManager.conf(5), "keyfile" plugin.
	add(Place{Layer: "profiles", parse: profile}, "etc/NetworkManager/system-connections", "run/NetworkManager/system-connections",
		"usr/lib/NetworkManager/system-connections")
	add(Place{Names: []string{"NetworkManager.conf"}, parse: managerConf}, "etc/NetworkManager")
	add(Place{Layer: "conf.d", Suffixes: []string{".conf"}, parse: managerConf}, "etc/NetworkManager/conf.d", "run/NetworkManager/conf.d",
		"usr/lib/NetworkManager/conf.d")
	// netplan(5).
	add(Place{Layer: "netplan", Suffixes: []string{".yaml"}, parse: netplan}, "run/netplan", "etc/netplan", "lib/netplan")
	// systemd.network(5), systemd.link(5).
	add(Place{Layer: "networkd", Suffixes: []string{".network", ".link"}, DropIns: true, parse: networkd}, "etc/systemd/network",
		"run/systemd/network", "usr/local/lib/systemd/network", "usr/lib/systemd/network", "lib/systemd/network")
	add(Place{Names: []string{"sriov-interface-config.yaml", "sriov_config.json"}, parse: operatorConfig}, "etc/sriov-operator")
	add(Place{parse: operatorApplied}, "etc/sriov-operator/pci")
	add(Place{Names: []string{"sriov-config.service", "sriov-config-post-network.service"}, parse: operatorUnit}, "etc/systemd/system")
	add(Place{Layer: "udev", Names: []string{"82-net-setup-link.rules"}, parse: mlnxRules}, "etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d",
		"lib/udev/rules.d")
	add(Place{Layer: "modprobe", Names: []string{"mlnx-eswitch.conf"}, parse: mlnxModprobe}, "etc/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
	return out
}

// Fits tells whether a selector names a PF. One that names none fits none.
func Fits(s inventory.Selector, pf *inventory.PF) bool {
	if s.Anything() {
		return false
	}
	var names, macs []string
	if n := pf.Netdev; n != nil {
		names = append(slices.Clone(n.AltNames), n.Name)
		macs = []string{strings.ToLower(n.MAC)}
	}
	return one(s.Names, names) && one(s.PCIAddresses, []string{pf.PCIAddress}) && one(s.Drivers, []string{pf.Driver}) && one(s.MACs, macs)
}

// one tells whether a pattern fits a value, or there is no pattern.
func one(patterns, values []string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return v != "" && glob(p, v) })
	})
}

// glob tells whether a pattern with * and ? fits a text. Brackets stand for
// themselves: with them a pattern fits less than its owner means.
func glob(pattern, text string) bool {
	// at and mark are where to go on when the last * has to take one more.
	star, mark, p, t := -1, 0, 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
