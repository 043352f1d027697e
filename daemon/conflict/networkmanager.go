package conflict

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

const networkManager = "NetworkManager"

// profile reads a connection profile: nm-settings-keyfile(5). A profile with the
// setting sets the number of VFs when it becomes active, also to zero, and sets
// it back when it ends (nm-settings(5), sriov.total-vfs).
func profile(f file) ([]inventory.Claim, error) {
	if !f.mentions("sriov") {
		return nil, nil
	}
	all, err := ini(f.content)
	if err != nil || !contains(all, "sriov") {
		return nil, err
	}
	var parts []string
	for _, name := range []string{"total-vfs", "eswitch-mode"} {
		if value := get(all, "sriov", name); value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	return []inventory.Claim{{
		Owner: networkManager, Source: f.source, Setting: strings.TrimSpace("[sriov] " + strings.Join(parts, " ")), Sets: true,
		Of: profileOf(all),
	}}, nil
}

// profileOf is what a profile is for.
func profileOf(all []section) inventory.Selector {
	var s inventory.Selector
	if name := get(all, "connection", "interface-name"); name != "" {
		s.Names = []string{name}
	}
	for _, section := range []string{"ethernet", "802-3-ethernet", "infiniband"} {
		if mac := hardwareAddress(get(all, section, "mac-address")); mac != "" {
			s.MACs = append(s.MACs, mac)
		}
	}
	if len(s.Names) == 0 {
		s.Names = matched(get(all, "match", "interface-name"))
	}
	for _, path := range matched(get(all, "match", "path")) {
		if address, ok := strings.CutPrefix(path, "pci-"); ok {
			s.PCIAddresses = append(s.PCIAddresses, address)
		}
	}
	s.Drivers = matched(get(all, "match", "driver"))
	return s
}

// matched are the patterns of a [match] key that one of must fit; those with "!"
// must not, and are left out.
func matched(value string) []string {
	var out []string
	for _, each := range strings.FieldsFunc(value, func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		each = strings.TrimLeft(each, "|&")
		if each != "" && !strings.HasPrefix(each, "!") {
			out = append(out, strings.TrimPrefix(each, `\`))
		}
	}
	return out
}

// hardwareAddress reads a MAC as text, or as the list of bytes that old versions
// wrote; empty if it is neither.
func hardwareAddress(value string) string {
	separator, base := ":", 16
	if strings.Contains(value, ";") {
		separator, base = ";", 10
	}
	var mac []string
	for each := range strings.SplitSeq(strings.TrimSuffix(value, ";"), separator) {
		n, err := strconv.ParseUint(each, base, 8)
		if err != nil {
			return ""
		}
		mac = append(mac, fmt.Sprintf("%02x", n))
	}
	if len(mac) < 6 {
		return ""
	}
	return strings.Join(mac, ":")
}

// managerConf reads NetworkManager's own settings: NetworkManager.conf(5), the
// sections [device...] and the key sriov-num-vfs.
func managerConf(f file) ([]inventory.Claim, error) {
	if !f.mentions("sriov-num-vfs") {
		return nil, nil
	}
	all, err := ini(f.content)
	if err != nil {
		return nil, err
	}
	var out []inventory.Claim
	for _, s := range all {
		one := []section{s}
		value := get(one, s.name, "sriov-num-vfs")
		if value == "" || s.name != "device" && !strings.HasPrefix(s.name, "device-") {
			continue
		}
		for _, of := range devices(cmp.Or(get(one, s.name, "match-device"), "*")) {
			out = append(out, inventory.Claim{
				Owner: networkManager, Source: f.source, Setting: fmt.Sprintf("[%s] sriov-num-vfs=%s", s.name, value), Sets: true, Of: of,
			})
		}
	}
	return out, nil
}

// devices reads a "Device List Format": any of its entries may fit.
func devices(list string) []inventory.Selector {
	var out []inventory.Selector
	for _, each := range strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		kind, value, ok := strings.Cut(each, ":")
		var s inventory.Selector
		switch {
		case each == "*":
			s.Names = []string{"*"}
		case ok && kind == "interface-name":
			s.Names = []string{strings.TrimLeft(value, "=~")}
		case ok && kind == "driver":
			driver, _, _ := strings.Cut(value, "/")
			s.Drivers = []string{driver}
		case ok && kind == "mac":
			s.MACs = []string{strings.ToLower(value)}
		case ok && kind == "except":
			// It takes devices away from what the others name.
			continue
		}
		out = append(out, s)
	}
	return out
}
