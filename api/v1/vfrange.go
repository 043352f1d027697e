package v1

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxVFIndex is the highest index that a VF can have: the TotalVFs register of
// PCI Express is 16 bits wide, so a PF has 65535 VFs at most.
const MaxVFIndex = 65534

// VFRange is an inclusive interval of VF indexes of one PF. Its text form,
// in JSON too, is "first-last". This file is the only place that parses it; the
// CEL rule below accepts the same texts, so that a stored object always decodes.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:MaxLength=11
// +kubebuilder:validation:XValidation:rule="self.matches('^(0|[1-9][0-9]{0,4})-(0|[1-9][0-9]{0,4})$') && int(self.split('-')[0]) <= int(self.split('-')[1]) && int(self.split('-')[1]) <= 65534",message="vfRange must be FIRST-LAST with FIRST not above LAST, and LAST at most 65534, e.g. 0-3"
type VFRange struct {
	First int `json:"-"`
	Last  int `json:"-"`
}

// ParseVFRange parses "3" or "0-3". The last index must not be below the first.
func ParseVFRange(s string) (VFRange, error) {
	first, last, isInterval := strings.Cut(s, "-")
	if !isInterval {
		last = first
	}
	f, err := parseIndex(first)
	if err != nil {
		return VFRange{}, fmt.Errorf("VF range %q: %w", s, err)
	}
	l, err := parseIndex(last)
	if err != nil {
		return VFRange{}, fmt.Errorf("VF range %q: %w", s, err)
	}
	if l < f {
		return VFRange{}, fmt.Errorf("VF range %q: its last index is below its first", s)
	}
	return VFRange{First: f, Last: l}, nil
}

// parseIndex accepts decimal digits only: no sign, no space. Leading zeros are
// refused too, so that every index has one spelling.
func parseIndex(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n > MaxVFIndex || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is not a VF index (0 to %d)", s, MaxVFIndex)
	}
	return int(n), nil
}

// String returns the range as "first-last", the form that the API stores.
func (r VFRange) String() string { return strconv.Itoa(r.First) + "-" + strconv.Itoa(r.Last) }

// MarshalText implements encoding.TextMarshaler; JSON uses it.
func (r VFRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; JSON uses it.
func (r *VFRange) UnmarshalText(b []byte) error {
	parsed, err := ParseVFRange(string(b))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// Contains tells whether the VF index lies in the range.
func (r VFRange) Contains(index int) bool { return r.First <= index && index <= r.Last }

// Overlaps tells whether the two ranges share a VF index.
func (r VFRange) Overlaps(o VFRange) bool { return r.First <= o.Last && o.First <= r.Last }

// Len is the number of VFs in the range.
func (r VFRange) Len() int { return r.Last - r.First + 1 }

// PFSelector is one entry of nicSelector.pfNames or nicSelector.rootDevices: a
// PF's name (or PCI address), optionally restricted to VF ranges.
type PFSelector struct {
	// Name is a netdev name, an altName or a PCI address.
	Name string
	// Ranges is empty when the entry names the whole PF.
	Ranges []VFRange
}

// ParsePFSelector parses "NAME", "NAME#0-3" or "NAME#0-3,5,7-9". It does not
// judge whether NAME can be an interface name or a PCI address.
func ParsePFSelector(s string) (PFSelector, error) {
	name, ranges, restricted := strings.Cut(s, "#")
	switch {
	case name == "":
		return PFSelector{}, fmt.Errorf("selector %q: the part before # is empty", s)
	case strings.ContainsAny(name, " \t\n\v\f\r"):
		return PFSelector{}, fmt.Errorf("selector %q: the part before # has a space in it", s)
	case !restricted:
		return PFSelector{Name: name}, nil
	}
	sel := PFSelector{Name: name}
	for part := range strings.SplitSeq(ranges, ",") {
		r, err := ParseVFRange(part)
		if err != nil {
			return PFSelector{}, fmt.Errorf("selector %q: %w", s, err)
		}
		sel.Ranges = append(sel.Ranges, r)
	}
	return sel, nil
}

// String returns the selector in the form that ParsePFSelector parses.
func (s PFSelector) String() string {
	if len(s.Ranges) == 0 {
		return s.Name
	}
	parts := make([]string, len(s.Ranges))
	for i, r := range s.Ranges {
		parts[i] = r.String()
	}
	return s.Name + "#" + strings.Join(parts, ",")
}
