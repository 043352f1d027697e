package simhost

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Dump returns the state of the machine as text to compare: what is on the PCI
// bus, drivers, netdevs, eswitches, bonds, pods. It holds no times, no ifindexes
// and nothing that depends on how the state came about.
func (k *Kernel) Dump() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	for _, address := range k.addresses() {
		if fn := k.functions[address]; fn.pf != nil {
			k.dumpPF(&b, fn)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.links.byName)) {
		if l := k.links.byName[name]; l.bond != nil {
			fmt.Fprintf(&b, "bond %s %s members [%s]", name, l.bond.Mode, l.bond.names())
			k.dumpLink(&b, l)
		}
	}
	for _, device := range slices.Sorted(maps.Keys(k.pods.owners)) {
		fmt.Fprintf(&b, "pod %s holds %s\n", k.pods.owners[device], device)
	}
	if k.networkManager != "" {
		fmt.Fprintf(&b, "NetworkManager has read: %s", k.networkManager)
	}
	for _, name := range slices.Sorted(maps.Keys(k.nodeNetwork)) {
		fmt.Fprintf(&b, "node network: %s %s\n", name, k.nodeNetwork[name])
	}
	k.dumpOVS(&b)
	k.dumpMachine(&b)
	return b.String()
}

func (k *Kernel) dumpPF(b *strings.Builder, fn *function) {
	p := fn.pf
	fmt.Fprintf(b, "%s %s:%s", fn.address, fn.vendor, fn.device)
	dumpDriver(b, fn)
	if fn.hasSRIOV() {
		fmt.Fprintf(b, " numvfs %d/%d autoprobe %t", p.numVFs, fn.card.totalVFs, p.autoprobe)
	} else {
		b.WriteString(" without SR-IOV")
	}
	if p.mode != "" {
		fmt.Fprintf(b, " eswitch %s", p.mode)
	}
	if app := fn.card.loaded.app; app != "" {
		fmt.Fprintf(b, " firmware %s %s", app, fn.card.loaded.version)
	}
	if p.steering != "" {
		fmt.Fprintf(b, " steering %s", p.steering)
	}
	if p.inline != fn.card.inline {
		fmt.Fprintf(b, " inline %s", p.inline)
	}
	if s := fn.card.lag.state(); s != "disabled" {
		fmt.Fprintf(b, " lag %s", s)
	}
	b.WriteByte('\n')
	if fn.netdev != nil {
		fmt.Fprintf(b, "  netdev %s", fn.netdev.name)
		k.dumpLink(b, fn.netdev)
	}
	for _, l := range fn.physical {
		fmt.Fprintf(b, "  netdev %s", l.name)
		k.dumpLink(b, l)
	}
	for _, vf := range p.vfs {
		k.dumpVF(b, vf)
	}
	for _, i := range slices.Sorted(maps.Keys(p.reps)) {
		fmt.Fprintf(b, "  representor %d %s", i, p.reps[i].name)
		k.dumpLink(b, p.reps[i])
	}
}

func (k *Kernel) dumpVF(b *strings.Builder, vf *function) {
	fmt.Fprintf(b, "  vf %d %s %s:%s", vf.index, vf.address, vf.vendor, vf.device)
	dumpDriver(b, vf)
	if mac := vf.parent.pf.admin[vf.index]; mac != "" {
		fmt.Fprintf(b, " admin MAC %s", mac)
	}
	if guid := vf.parent.pf.guids[vf.index]; guid != "" {
		fmt.Fprintf(b, " GUID %s", guid)
	}
	if d := vf.vdpa; d != nil {
		fmt.Fprintf(b, " vdpa %s driver %s", d.name, d.driver)
	}
	b.WriteByte('\n')
	if l := vf.netdev; l != nil {
		fmt.Fprintf(b, "    netdev %s", l.name)
		k.dumpLink(b, l)
	}
}

func dumpDriver(b *strings.Builder, fn *function) {
	driver := fn.driver
	if driver == "" {
		driver = "none"
	}
	fmt.Fprintf(b, " driver %s", driver)
	if fn.override != "" {
		fmt.Fprintf(b, " override %s", fn.override)
	}
}

// dumpLink ends a line.
func (k *Kernel) dumpLink(b *strings.Builder, l *link) {
	state := "down"
	if l.up {
		state = "up"
	}
	fmt.Fprintf(b, " %s mtu %d mac %s", state, l.mtu, l.mac)
	if l.canOffload() {
		fmt.Fprintf(b, " hw-tc-offload %t", l.offload)
	}
	if l.master != nil {
		fmt.Fprintf(b, " master %s", l.master.name)
	}
	if l.datapath != nil {
		fmt.Fprintf(b, " master %s", l.datapath.name)
	}
	if l.pod != "" {
		fmt.Fprintf(b, " in pod %s", l.pod)
	}
	b.WriteByte('\n')
}
