package merge

import (
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Names of selector fields as a user sees them in a policy.
const (
	fieldNodeSelector = "nodeSelector"
	fieldNicSelector  = "nicSelector"
	fieldVendor       = "nicSelector.vendor"
	fieldDeviceID     = "nicSelector.deviceID"
	fieldRootDevices  = "nicSelector.rootDevices"
	fieldPfNames      = "nicSelector.pfNames"
	fieldNetFilter    = "nicSelector.netFilter"
)

// failed is a set of selector fields that a PF does not satisfy.
type failed uint8

const (
	failedVendor failed = 1 << iota
	failedDeviceID
	failedRootDevices
	failedPfNames
	failedNetFilter
)

// selector is a parsed nicSelector.
type selector struct {
	vendor, deviceID     string
	netFilter            string
	rootDevices, pfNames []entry
}

// entry is one element of rootDevices or pfNames.
type entry struct {
	raw    string
	name   string            // the part before #, also of a malformed entry
	ranges []sriovv1.VFRange // empty: the whole PF
	err    error             // not nil: malformed
}

func compileSelector(s *sriovv1.NicSelector) selector {
	return selector{
		vendor:      s.Vendor,
		deviceID:    s.DeviceID,
		netFilter:   normalNetFilter(s.NetFilter),
		rootDevices: compileEntries(s.RootDevices),
		pfNames:     compileEntries(s.PfNames),
	}
}

func compileEntries(list []string) []entry {
	var entries []entry
	for _, raw := range list {
		e := entry{raw: raw}
		parsed, err := sriovv1.ParsePFSelector(raw)
		if err != nil {
			e.name, _, _ = strings.Cut(raw, "#")
			e.err = err
		} else {
			e.name, e.ranges = parsed.Name, parsed.Ranges
		}
		entries = append(entries, e)
	}
	return entries
}

// normalNetFilter drops white space around the parts of "key:value", as
// existing policies of virtual platforms write it both ways.
func normalNetFilter(s string) string {
	key, value, isPair := strings.Cut(s, ":")
	if !isPair {
		return strings.TrimSpace(s)
	}
	return strings.TrimSpace(key) + ":" + strings.TrimSpace(value)
}

// isEmpty: no field is set, so nothing is selected.
func (s *selector) isEmpty() bool {
	return s.vendor == "" && s.deviceID == "" && s.netFilter == "" && len(s.rootDevices) == 0 && len(s.pfNames) == 0
}

// check returns the fields that the PF does not satisfy; 0 means that it
// matches. The selector must not be empty.
func (s *selector) check(pf *sriovv1.InterfaceStatus) failed {
	var f failed
	if s.vendor != "" && !strings.EqualFold(s.vendor, pf.Vendor) {
		f |= failedVendor
	}
	if s.deviceID != "" && !strings.EqualFold(s.deviceID, pf.DeviceID) {
		f |= failedDeviceID
	}
	if len(s.rootDevices) > 0 && !anyNames(s.rootDevices, pf, (*entry).isAddressOf) {
		f |= failedRootDevices
	}
	if len(s.pfNames) > 0 && !anyNames(s.pfNames, pf, (*entry).isNameOf) {
		f |= failedPfNames
	}
	if s.netFilter != "" && s.netFilter != normalNetFilter(pf.NetFilter) {
		f |= failedNetFilter
	}
	return f
}

// names tells whether an entry of a list names a PF.
type names func(*entry, *sriovv1.InterfaceStatus) bool

func anyNames(entries []entry, pf *sriovv1.InterfaceStatus, isOf names) bool {
	for i := range entries {
		if isOf(&entries[i], pf) {
			return true
		}
	}
	return false
}

func (e *entry) isAddressOf(pf *sriovv1.InterfaceStatus) bool {
	return e.name != "" && strings.EqualFold(e.name, pf.PCIAddress)
}

func (e *entry) isNameOf(pf *sriovv1.InterfaceStatus) bool {
	return e.name != "" && (e.name == pf.Name || slices.Contains(pf.AltNames, e.name) || slices.ContainsFunc(pf.Ports, e.isPort))
}

func (e *entry) isPort(port sriovv1.PortStatus) bool {
	return e.name == port.Name || slices.Contains(port.AltNames, e.name)
}
