package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of what a PF can have. The number of VFs is a 16-bit register (SR-IOV
// specification, NumVFs); the kernel's loopback has the largest MTU of all.
const (
	maxVFs = 1<<16 - 1
	maxMTU = 1 << 16
)

// valid returns an error that names the first field, in the order of the record,
// with a value that no PF can have. Names end up in paths below /sys.
func (r *Record) valid() error {
	if err := r.Boot.valid(); err != nil {
		return err
	}
	for _, address := range slices.Sorted(maps.Keys(r.PFs)) {
		pf := r.PFs[address]
		where := fmt.Sprintf("pfs[%q]", address)
		if !isName(address) {
			return fmt.Errorf("%s: the key is no PCI address", where)
		}
		if err := pf.valid(where); err != nil {
			return err
		}
	}
	if err := r.validBonds(); err != nil {
		return err
	}
	for _, driver := range slices.Sorted(maps.Keys(r.Orders)) {
		where := fmt.Sprintf("orders[%q]", driver)
		if !isName(driver) {
			return fmt.Errorf("%s: the key is no driver", where)
		}
		if order := r.Orders[driver]; !isName(order) {
			return fmt.Errorf("%s is %q, which is no name", where, order)
		}
	}
	if err := r.validBridges(); err != nil {
		return err
	}
	if err := r.validFiles(); err != nil {
		return err
	}
	if err := r.validFirmware(); err != nil {
		return err
	}
	if err := r.validSafety(); err != nil {
		return err
	}
	return r.Machine.valid()
}

func (p *PF) valid(where string) error {
	for _, f := range []struct{ field, value string }{
		{"bootID", p.BootID}, {"vendor", p.Vendor}, {"deviceID", p.DeviceID}, {"initial.eswitchMode", p.Initial.EswitchMode},
		{"initial.inlineMode", p.Initial.InlineMode}, {"initial.steeringMode", p.Initial.SteeringMode},
		{"initial.port", p.Initial.Port},
	} {
		if err := nameOrEmpty(where+"."+f.field, f.value); err != nil {
			return err
		}
	}
	where += ".initial"
	if err := validNetdev(where+".netdev", p.Initial.Netdev); err != nil {
		return err
	}
	if err := within(where+".numVfs", p.Initial.NumVFs, maxVFs); err != nil {
		return err
	}
	if err := within(where+".mtu", p.Initial.MTU, maxMTU); err != nil {
		return err
	}
	for i, port := range p.Initial.Ports {
		where := fmt.Sprintf("%s.ports[%d]", where, i)
		if !isName(port.Name) {
			return fmt.Errorf("%s.name is %q, which is no name", where, port.Name)
		}
		if err := within(where+".mtu", port.MTU, maxMTU); err != nil {
			return err
		}
	}
	seen := map[int]bool{}
	for i, vf := range p.Initial.VFs {
		where := fmt.Sprintf("%s.vfs[%d]", where, i)
		if err := vf.valid(where); err != nil {
			return err
		}
		if seen[vf.Index] {
			return fmt.Errorf("%s.index is %d for the second time", where, vf.Index)
		}
		seen[vf.Index] = true
	}
	return nil
}

func (v *InitialVF) valid(where string) error {
	if err := within(where+".index", v.Index, maxVFs-1); err != nil {
		return err
	}
	if err := within(where+".mtu", v.MTU, maxMTU); err != nil {
		return err
	}
	if err := nameOrEmpty(where+".driver", v.Driver); err != nil {
		return err
	}
	if err := nameOrEmpty(where+".vdpaType", v.VDPAType); err != nil {
		return err
	}
	return nameOrEmpty(where+".override", v.Override)
}

func within(field string, value, most int) error {
	if value < 0 || value > most {
		return fmt.Errorf("%s is %d, it must be 0 to %d", field, value, most)
	}
	return nil
}

func nameOrEmpty(field, value string) error {
	if value != "" && !isName(value) {
		return fmt.Errorf("%s is %q, which is no name", field, value)
	}
	return nil
}

// isName tells whether a text is one element of a path and one word.
func isName(s string) bool {
	unfit := func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '/' }
	return s != "" && s != "." && s != ".." && !strings.ContainsFunc(s, unfit)
}
