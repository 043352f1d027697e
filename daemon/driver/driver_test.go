package driver_test

import (
	"regexp"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
)

// A driver that is not known gets the order that has to be tried, and nothing else.
func TestGeneric(t *testing.T) {
	s := driver.Default().For("newcomer")
	if s.Order != driver.Trial || s.CreateUnbound || s.AdminMAC || s.UpForVFs || s.VFDriver != "" {
		t.Errorf("generic strategy %+v", s)
	}
	if driver.VFsFirst.Other() != driver.ModeFirst || driver.ModeFirst.Other() != driver.VFsFirst {
		t.Error("the orders do not take turns")
	}
}

// Every entry of the table is complete and stands under its name; a caller that
// changes its table changes nobody else's.
func TestDefault(t *testing.T) {
	for name, s := range driver.Default() {
		if s.Name != name || s.Order == driver.Trial || s.VFDriver == "" || s.Note == "" {
			t.Errorf("%s: %+v", name, s)
		}
		if s.Order == driver.VFsFirst && !s.CreateUnbound {
			t.Errorf("%s changes its mode with bound VFs", name)
		}
	}
	table := driver.Default()
	table["mlx5_core"].InlineModes["1017"] = "link"
	delete(table, "ice")
	again := driver.Default()
	if again["mlx5_core"].InlineModes["1017"] != "" || again["ice"].Name == "" {
		t.Error("tables share their content")
	}
}

// Ids are what sysfs shows, no PF is in the list twice, and the drivers of NICs
// with switchdev mode are known, with the same VF driver.
func TestNICs(t *testing.T) {
	id := regexp.MustCompile(`^[0-9a-f]{4}$`)
	drivers := driver.Default()
	seen := map[string]string{}
	for _, n := range driver.NICs() {
		if n.Name == "" || n.Offload == "" || len(n.PFs) == 0 || len(n.VFs) == 0 || !id.MatchString(n.Vendor) {
			t.Errorf("%+v is not complete", n)
		}
		for _, pf := range n.PFs {
			if key := n.Vendor + ":" + pf; !id.MatchString(pf) || seen[key] != "" {
				t.Errorf("%s of %s is no id, or %s has it", key, n.Name, seen[key])
			} else {
				seen[key] = n.Name
			}
			if got, ok := driver.Model(n.Vendor, pf); !ok || got.Name != n.Name {
				t.Errorf("%s:%s is %q", n.Vendor, pf, got.Name)
			}
		}
		for _, vf := range n.VFs {
			if !id.MatchString(vf) {
				t.Errorf("VF %s of %s is no id", vf, n.Name)
			}
		}
		s := drivers.For(n.Driver)
		switchdev := n.Offload == driver.OffloadSwitchdev || n.Offload == driver.OffloadFlower
		if switchdev != (s.Name != "") || switchdev && s.VFDriver != n.VFDriver {
			t.Errorf("%s offloads %q, its driver's strategy is %+v", n.Name, n.Offload, s)
		}
	}
	if n, ok := driver.Model("1e7c", "0100"); ok {
		t.Errorf("a NIC that nobody knows is %s", n.Name)
	}
}
