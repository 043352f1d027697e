package conflict

import (
	"fmt"
	"path"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// networkd reads a .network or .link file: systemd.network(5) and systemd.link(5),
// their sections [SR-IOV], and SR-IOVVirtualFunctions= of [Link].
func networkd(f file) ([]inventory.Claim, error) {
	if !f.mentions("sr-iov") {
		return nil, nil
	}
	all, err := ini(f.content)
	if err != nil {
		return nil, err
	}
	// Both are read by programs of systemd: networkd, and udevd.
	owner := "systemd-networkd"
	if path.Ext(f.name) == ".link" {
		owner = "systemd-udevd"
	}
	of := linkOf(all)
	var out []inventory.Claim
	if n := get(all, "Link", "SR-IOVVirtualFunctions"); n != "" && path.Ext(f.name) == ".link" {
		out = append(out, inventory.Claim{
			Owner: owner, Source: f.source, Setting: "[Link] SR-IOVVirtualFunctions=" + n, Sets: true, Of: of,
		})
	}
	if contains(all, "SR-IOV") {
		setting := "[SR-IOV]"
		if vfs := every(all, "SR-IOV", "VirtualFunction"); len(vfs) > 0 {
			setting = fmt.Sprintf("[SR-IOV] VirtualFunction=%s", strings.Join(vfs, ","))
		}
		out = append(out, inventory.Claim{Owner: owner, Source: f.source, Setting: setting, Of: of})
	}
	return out, nil
}

// linkOf is the section [Match].
func linkOf(all []section) inventory.Selector {
	words := func(keys ...string) []string {
		var out []string
		for _, k := range keys {
			for _, value := range every(all, "Match", k) {
				// "!" turns the whole list round.
				if !strings.HasPrefix(value, "!") {
					out = append(out, strings.Fields(value)...)
				}
			}
		}
		return out
	}
	s := inventory.Selector{Names: words("Name", "OriginalName"), Drivers: words("Driver")}
	for _, mac := range words("MACAddress", "PermanentMACAddress") {
		if address := hardwareAddress(strings.ReplaceAll(mac, "-", ":")); address != "" {
			s.MACs = append(s.MACs, address)
		}
	}
	for _, p := range words("Path") {
		if address, ok := strings.CutPrefix(p, "pci-"); ok {
			s.PCIAddresses = append(s.PCIAddresses, address)
		}
	}
	return s
}
