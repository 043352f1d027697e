package plan_test

import (
	"errors"
	"strconv"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// bonding runs the commands of scenarios that are about bonds.
func (m *machine) bonding(command string, args []string) error {
	ctx := m.t.Context()
	switch command {
	case "makebond":
		return m.k.AddBond(args[0], bondOptions(args[1:]))
	case "join":
		if err := m.h.Links.SetUp(ctx, m.link(args[1]), false); err != nil {
			return err
		}
		return m.k.Enslave(args[0], args[1])
	case "leave":
		return m.k.Release(args[0])
	case "keepmac":
		vf := m.vf(args[0], args[1])
		links, err := m.h.Links.List(ctx)
		if err != nil {
			return err
		}
		pf, mac := 0, ""
		for _, l := range links {
			if l.ParentDevice == vf {
				mac = l.MAC
			}
			if l.ParentDevice == args[0] && !strings.Contains(l.PortName, "vf") {
				pf = l.Index
			}
		}
		index, err := strconv.Atoi(args[1])
		return errors.Join(err, m.h.Links.SetVFMAC(ctx, pf, index, mac))
	}
	return errors.New("no such command")
}

func bondOptions(words []string) simhost.BondOptions {
	var o simhost.BondOptions
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "mode":
			o.Mode = value
		case "miimon":
			o.MiimonMilliseconds, _ = strconv.Atoi(value)
		case "hash":
			o.XmitHashPolicy = value
		case "rate":
			o.LACPRate = value
		case "mtu":
			o.MTU, _ = strconv.Atoi(value)
		}
	}
	return o
}
