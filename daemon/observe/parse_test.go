package observe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPortNames(t *testing.T) {
	type result struct {
		uplink, vf bool
		port       vfPort
	}
	for name, want := range map[string]result{
		"p0":                        {uplink: true},
		"p1s3":                      {uplink: true},
		"pf0vf0":                    {vf: true, port: vfPort{}},
		"pf1vf126":                  {vf: true, port: vfPort{pf: 1, vf: 126}},
		"c1pf0vf3":                  {vf: true, port: vfPort{controller: true, vf: 3}},
		"pf0":                       {},
		"pf0sf88":                   {},
		"pf0vf1rep":                 {},
		"c1pf0":                     {},
		"p":                         {},
		"":                          {},
		"pf0vf99999999999999999999": {},
	} {
		_, uplink := uplinkPort(name)
		port, vf := parseVFPort(name)
		got := result{uplink, vf, port}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{}, vfPort{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseID(t *testing.T) {
	for text, want := range map[string]string{
		"0x15b3": "15b3", "101e": "101e", "abc": "0abc", "0X15B3": "", "": "", "0x": "", "12345": "", "-1": "",
	} {
		if got, err := parseID(text); got != want || (err == nil) != (want != "") {
			t.Errorf("parseID(%q) = %q, %v", text, got, err)
		}
	}
}

func TestVFIndexes(t *testing.T) {
	got := vfIndexes([]string{"virtfn10", "vendor", "virtfn2", "virtfn", "virtfn0", "virtfnx", "myvirtfn1"})
	if diff := cmp.Diff([]int{0, 2, 10}, got); diff != "" {
		t.Errorf("indexes (-want +got):\n%s", diff)
	}
}

func TestPCIFunction(t *testing.T) {
	for address, want := range map[string]int{"0000:3b:00.0": 0, "0000:3b:00.1": 1, "10000:01:1f.7": 7} {
		if got, ok := pciFunction(address); got != want || !ok {
			t.Errorf("pciFunction(%s) = %d, %v", address, got, ok)
		}
	}
	if _, ok := pciFunction("virtio2"); ok {
		t.Error("virtio2 has a function number")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"p0", "c1pf0vf3", "0x15b3", "(null)", "-1", "virtfn3", "0000:3b:00.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, uplink := uplinkPort(text)
		port, vf := parseVFPort(text)
		if uplink && vf {
			t.Errorf("%q is an uplink and a VF's port", text)
		}
		// Written again, a port name without leading zeros is the same.
		if vf && !port.controller && !strings.Contains(text, "f0") && fmt.Sprintf("pf%dvf%d", port.pf, port.vf) != text {
			t.Errorf("%q was read as %+v", text, port)
		}
		if id, err := parseID(text); err == nil && len(id) != 4 {
			t.Errorf("PCI id of %q is %q", text, id)
		}
		if n, err := parseNumber(text); err != nil && n != 0 {
			t.Errorf("%q is no number, but %d", text, n)
		}
		if indexes := vfIndexes([]string{text, text}); !slices.IsSorted(indexes) {
			t.Errorf("indexes %v", indexes)
		}
		pciFunction(text)
		if override := parseOverride(text); override != text && text != "(null)" {
			t.Errorf("override %q was read as %q", text, override)
		}
	})
}
