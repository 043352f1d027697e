package simhost

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// pciAddress is a domain and a routing id (bus, slot, function).
type pciAddress struct {
	domain uint32
	rid    int
}

func parseAddress(s string) (pciAddress, error) {
	var domain uint32
	var bus, slot, function int
	n, err := fmt.Sscanf(s, "%x:%x:%x.%x", &domain, &bus, &slot, &function)
	if err != nil || n != 4 {
		return pciAddress{}, fmt.Errorf("parsing PCI address %q: %w", s, err)
	}
	return pciAddress{domain: domain, rid: bus<<8 | slot<<3 | function}, nil
}

func mustAddress(s string) pciAddress {
	a, err := parseAddress(s)
	if err != nil {
		panic("simhost: " + err.Error())
	}
	return a
}

func (a pciAddress) plus(n int) pciAddress { return pciAddress{a.domain, a.rid + n} }
func (a pciAddress) bus() int              { return a.rid >> 8 }
func (a pciAddress) slot() int             { return a.rid >> 3 & 0x1f }
func (a pciAddress) function() int         { return a.rid & 7 }

func (a pciAddress) String() string {
	return fmt.Sprintf("%04x:%02x:%02x.%x", a.domain, a.bus(), a.slot(), a.function())
}

// mac is a MAC with this prefix of two bytes that no other function has.
func (a pciAddress) mac(prefix string) string {
	return fmt.Sprintf("%s:%02x:%02x:%02x:%02x", prefix, a.domain&0xff, a.bus()>>8, a.bus()&0xff, a.rid&0xff)
}

// function is a PCI function.
type function struct {
	address                  string
	at                       pciAddress
	vendor, device, class    string
	subsystem                string
	numa, group              int
	card                     *card
	native, driver, override string
	// binding counts changes of driver, so that what arrives late knows it.
	binding int
	// pf is set for the ports of a card.
	pf *physical
	// parent and index are set for VFs.
	parent *function
	index  int
	netdev *link
	// rdma and vdpa are nil when there is no such device.
	rdma *rdmaDevice
	vdpa *vdpaDevice
	// others are netdevs besides netdev whose parent device this is: on mlx5
	// the VF representors belong to the PF's PCI device.
	others []*link
	// physical are those that are there with the driver: further physical ports,
	// a netdev without port, the PF's representor (nfp).
	physical []*link
}

// card is a NIC in a slot: its ports share the switch id and the LAG.
type card struct {
	NIC
	ports []*function
	lag   lag
	// loaded is what runs on an Agilio, total its sriov_totalvfs where the
	// application does not say.
	loaded loaded
	total  int
}

// physical is what a PF has more than other functions.
type physical struct {
	port           int
	offset, stride int
	autoprobe      bool
	// numVFs is sriov_numvfs; vfs are the functions that have appeared.
	numVFs int
	vfs    []*function
	// generation counts changes of the VFs.
	generation int
	mode       string
	steering   string
	inline     string
	reps       map[int]*link
	admin      map[int]string
	// guids of InfiniBand VFs as set through the PF.
	guids map[int]string
}

const (
	modeLegacy    = "legacy"
	modeSwitchdev = "switchdev"
	classEthernet = "0x020000"
	classIB       = "0x020700"
)

// Every machine also has a host bridge and a NIC without SR-IOV that carries
// the node's own network.
const (
	managementName    = "eno1"
	managementAddress = "0000:00:1f.6"
	managementDriver  = "e1000e"
)

func (k *Kernel) addManagement() {
	bridge := &function{
		at: mustAddress("0000:00:00.0"), vendor: "8086", device: "191f", class: "0x060000",
		subsystem: "8086:2015", numa: -1,
	}
	k.addFunction(bridge)
	fn := &function{
		at: mustAddress(managementAddress), vendor: "8086", device: "15bc", class: classEthernet,
		subsystem: "8086:15bc", numa: -1, native: managementDriver, driver: managementDriver,
	}
	k.addFunction(fn)
	fn.netdev = &link{
		name: managementName, mac: "00:1b:21:0a:0b:0c", mtu: 1500, up: true, linked: true,
		role: roleOther, fn: fn,
	}
	k.addLink(fn.netdev)
}

// addCard puts a card into the machine and binds its driver.
func (k *Kernel) addCard(n NIC) {
	c := &card{NIC: n, total: n.totalVFs}
	k.cards = append(k.cards, c)
	k.drivers[n.driver], k.drivers[n.vfDriver] = true, true
	class := classEthernet
	if n.infiniband {
		class = classIB
	}
	for port := range n.names {
		offset, stride := n.layout(port, len(n.names), n.totalVFs)
		fn := &function{
			at: mustAddress(n.address).plus(port), vendor: n.vendor, device: n.device,
			class: class, subsystem: n.subsystem, numa: n.numa, card: c, native: n.driver,
			pf: &physical{port: port, offset: offset, stride: stride},
		}
		c.ports = append(c.ports, fn)
		k.addFunction(fn)
		fn.pf.autoprobe = true
		_ = k.bind(fn, n.driver)
		if fn.netdev != nil {
			fn.netdev.up, fn.netdev.linked = !n.down, !n.down
		}
		for _, l := range fn.physical {
			l.up = l.role == rolePort && !n.down
		}
	}
}

func (k *Kernel) addFunction(fn *function) {
	fn.address = fn.at.String()
	if k.functions[fn.address] != nil {
		panic("simhost: two functions at " + fn.address)
	}
	fn.group = -1
	if k.iommu() {
		group, ok := k.groups[fn.address]
		if !ok {
			group = len(k.groups)
			k.groups[fn.address] = group
		}
		fn.group = group
	}
	k.functions[fn.address] = fn
	k.uevent("add", fn)
}

func (k *Kernel) addresses() []string { return slices.Sorted(maps.Keys(k.functions)) }

// reset puts a PF into the state that its driver finds or makes at probe.
func (p *physical) reset(c *card) {
	p.mode, p.steering, p.inline = "", "", c.inline
	switch {
	case c.eswitch && c.rules.fixed:
		p.mode = modeSwitchdev
	case c.eswitch:
		p.mode = modeLegacy
	}
	if len(c.steering) > 0 {
		p.steering = c.steering[0]
	}
	p.reps, p.admin, p.guids = map[int]*link{}, map[int]string{}, map[int]string{}
}

// writeNumVFs is sriov_numvfs_store in drivers/pci/iov.c.
func (k *Kernel) writeNumVFs(fn *function, data string) error {
	p := fn.pf
	n, err := strconv.ParseUint(strings.TrimSpace(data), 0, 16)
	if err != nil {
		k.forbid(fmt.Sprintf("%s: writing %q to sriov_numvfs", fn.address, data))
		return refuse(syscall.EINVAL)
	}
	want := int(n)
	switch {
	case want > fn.card.totalVFs:
		k.forbid(fmt.Sprintf("%s: %d VFs of at most %d", fn.address, want, fn.card.totalVFs))
		return refuse(syscall.ERANGE)
	case want == p.numVFs:
		return nil
	case fn.driver == "":
		k.forbid(fn.address + ": changing the number of VFs of a PF without driver")
		k.printk(fn, "no driver bound to device; cannot configure SR-IOV")
		return refuse(syscall.ENOENT)
	case fn.driver != fn.native:
		k.forbid(fn.address + ": changing the number of VFs of a PF with a driver that cannot")
		k.printk(fn, "driver does not support SR-IOV configuration via sysfs")
		return refuse(syscall.ENOENT)
	}
	k.guardNodeNetwork(fn, "changing the number of VFs")
	if fn.card.rules.upForVFs && (fn.netdev == nil || !fn.netdev.up) {
		k.forbid(fn.address + ": changing the number of VFs while the PF's netdev is down")
		k.printk(fn, "Reject SRIOV config request since if is down!")
		if want > 0 {
			k.printk(fn, "%d VFs requested; only 0 enabled", want)
		}
		return nil
	}
	if want == 0 {
		k.guardPods(fn, "removing VFs")
		k.removeVFs(fn)
		k.resetLink(fn)
		return nil
	}
	if p.numVFs > 0 {
		k.forbid(fmt.Sprintf("%s: changing %d VFs into %d without 0 in between", fn.address, p.numVFs, want))
		k.printk(fn, "%d VFs already enabled. Disable before enabling %d VFs", p.numVFs, want)
		return refuse(syscall.EBUSY)
	}
	return k.enableVFs(fn, want)
}

// enableVFs is sriov_enable in drivers/pci/iov.c.
func (k *Kernel) enableVFs(fn *function, want int) error {
	p, c := fn.pf, fn.card
	if c.noMMIO && !k.startedWith("pci=realloc") {
		k.printk(fn, "not enough MMIO resources for SR-IOV")
		return refuse(syscall.ENOMEM)
	}
	if c.firmwareVFs > 0 && want > c.firmwareVFs {
		k.printk(fn, "nfp: Firmware limits number of VFs to %d", c.firmwareVFs)
		return refuse(syscall.EINVAL)
	}
	last := fn.at.plus(p.offset + (want-1)*p.stride)
	if c.noBusNumbers && last.bus() != fn.at.bus() {
		k.printk(fn, "can't enable %d VFs (bus %02x out of range of [bus %02x])", want, last.bus(), fn.at.bus())
		return refuse(syscall.ENOMEM)
	}
	enabled := want
	if c.enabledAtMost > 0 && c.enabledAtMost < want {
		enabled = c.enabledAtMost
		k.printk(fn, "%d VFs requested; only %d enabled", want, enabled)
	}
	// mlx5_eswitch_enable takes a RoCE LAG down before the first VF
	if p.mode == modeLegacy {
		k.stopLAG(c)
	}
	p.numVFs = enabled
	p.generation++
	generation := p.generation
	k.resetLink(fn)
	k.later(k.opts.Delays.VF, func() {
		if p.generation != generation {
			return
		}
		for i := range enabled {
			k.addVF(fn, i)
		}
		k.uevent("change", fn)
		k.wantRepresentors(fn)
		k.bondChanged(fn.card)
	})
	return nil
}

// addVF is pci_iov_add_virtfn: the new function is probed if autoprobe is on.
func (k *Kernel) addVF(pf *function, index int) {
	c := pf.card
	vf := &function{
		at:     pf.at.plus(pf.pf.offset + index*pf.pf.stride),
		vendor: pf.vendor, device: c.vfDevice, class: pf.class, subsystem: pf.subsystem,
		numa: pf.numa, card: c, native: c.vfDriver, parent: pf, index: index,
	}
	k.addFunction(vf)
	pf.pf.vfs = append(pf.pf.vfs, vf)
	if pf.pf.autoprobe {
		k.probe(vf)
	}
}

// removeVFs is sriov_disable.
func (k *Kernel) removeVFs(pf *function) {
	p := pf.pf
	p.generation++
	p.numVFs = 0
	for _, vf := range slices.Backward(p.vfs) {
		k.detach(vf)
		delete(k.functions, vf.address)
		k.uevent("remove", vf)
	}
	p.vfs = nil
	k.dropRepresentors(pf)
	clear(p.admin)
	k.uevent("change", pf)
	k.bondChanged(pf.card)
}

// vf returns the VF with this index if it has appeared.
func (p *physical) vf(index int) *function {
	if index < 0 || index >= len(p.vfs) {
		return nil
	}
	return p.vfs[index]
}

// resetLink takes the carrier of a PF away for a while (igb does on every
// change of its VFs).
func (k *Kernel) resetLink(fn *function) {
	l := fn.netdev
	if !fn.card.pfResets || l == nil || !l.up {
		return
	}
	k.linkUp(l)
}

// nodeNetworkOf says why the node's own network depends on a link: itself, or
// as a member of a bond.
func (k *Kernel) nodeNetworkOf(l *link) string {
	if why := k.nodeNetwork[l.name]; why != "" || l.master == nil {
		return why
	}
	if why := k.nodeNetwork[l.master.name]; why != "" {
		return "is below " + l.master.name + ", which " + why
	}
	return ""
}

// guardNodeNetwork forbids what interrupts the node's own network.
func (k *Kernel) guardNodeNetwork(fn *function, what string) {
	if l := fn.netdev; l != nil && l.pod == "" && !k.reach.permitted {
		if why := k.nodeNetworkOf(l); why != "" && !k.systemd.noNetwork {
			k.forbid(fmt.Sprintf("%s: %s while %s %s", fn.address, what, l.name, why))
		}
	}
}

// guardPods forbids what takes VFs away from pods.
func (k *Kernel) guardPods(pf *function, what string) {
	for _, vf := range pf.pf.vfs {
		k.guardPod(vf, what)
	}
}

func (k *Kernel) guardPod(vf *function, what string) {
	if pod := k.pods.owners[vf.address]; pod != "" {
		k.forbid(fmt.Sprintf("%s: %s while pod %s holds it", vf.address, what, pod))
	}
}
