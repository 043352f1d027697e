package observe

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// Port names are the kernel's devlink_port naming: pN (pNsM when split) for
	// a physical port, pfNvfM for a VF, with cK in front when the function
	// belongs to another controller (a SmartNIC's host).
	uplinkName = regexp.MustCompile(`^p(\d+)(s\d+)?$`)
	vfPortName = regexp.MustCompile(`^(c\d+)?pf(\d+)vf(\d+)$`)
	virtfn     = regexp.MustCompile(`^virtfn(\d+)$`)
	virtio     = regexp.MustCompile(`^virtio\d+$`)
)

// vfPort is a VF representor's port name.
type vfPort struct {
	controller bool
	pf, vf     int
}

// parseVFPort parses a phys_port_name; false when it is not a VF's.
func parseVFPort(name string) (vfPort, bool) {
	m := vfPortName.FindStringSubmatch(name)
	if m == nil {
		return vfPort{}, false
	}
	pf, err := strconv.Atoi(m[2])
	if err != nil {
		return vfPort{}, false
	}
	vf, err := strconv.Atoi(m[3])
	if err != nil {
		return vfPort{}, false
	}
	return vfPort{controller: m[1] != "", pf: pf, vf: vf}, true
}

// uplinkPort returns the number of a physical port by its port name.
func uplinkPort(name string) (int, bool) {
	m := uplinkName.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// vfIndexes returns the indexes of the virtfnN entries of a folder, in order.
func vfIndexes(names []string) []int {
	var out []int
	for _, name := range names {
		m := virtfn.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// parseNumber parses a decimal attribute.
func parseNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}

// parseID parses a PCI id, which sysfs prints as 0x15b3 or, in sriov_vf_device,
// as bare hexadecimal without leading zeros.
func parseID(text string) (string, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 16)
	if err != nil {
		return "", fmt.Errorf("%q is not a PCI id", text)
	}
	return fmt.Sprintf("%04x", n), nil
}

// parseOverride parses driver_override, which prints "(null)" for none.
func parseOverride(text string) string {
	if text == "(null)" {
		return ""
	}
	return text
}

// pciFunction returns the function number of a PCI address: 1 of 0000:3b:00.1.
func pciFunction(address string) (int, bool) {
	_, last, ok := strings.Cut(address, ".")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(last, 16, 8)
	return int(n), err == nil
}
