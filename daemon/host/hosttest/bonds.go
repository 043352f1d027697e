package hosttest

import (
	"context"
	"slices"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

func bondSpecs() []Spec {
	needs := []Capability{Bonding}
	return []Spec{
		{Label: "bonds: are made down, with all options, and deleted", Needs: needs, run: makesBond},
		{Label: "bonds: a name that is taken is EEXIST", Needs: needs, run: bondNameTaken},
		{Label: "bonds: a LACP rate outside of 802.3ad is EACCES", Needs: needs, run: lacpRateRefused},
		{Label: "bonds: a member that is up is EPERM with the kernel's words", Needs: needs, run: memberUp},
		{Label: "bonds: a member gets the bond's MTU and is set up, and gets its own back", Needs: needs, run: bondMember},
		{Label: "bonds: options have their time", Needs: needs, run: bondOptions},
		{Label: "bonds: what is gone is ENODEV", Needs: needs, run: bondGone},
		{Label: "bonds: a kernel without bonding is EOPNOTSUPP", Lacks: needs, run: noBonding},
	}
}

const bondName = "hosttest0"

var allOptions = host.BondOptions{Mode: "802.3ad", MiimonMilliseconds: 50, XmitHashPolicy: "layer2+3", LACPRate: "fast"}

// makeBond makes a bond that goes with the spec.
func (s *session) makeBond(o host.BondOptions) host.Bond {
	s.Helper()
	s.must(s.h.Bonds.Create(s.ctx, bondName, o))
	s.Cleanup(func() {
		s.ctx = context.WithoutCancel(s.ctx)
		if b, ok := s.bond(); ok {
			s.must(s.h.Bonds.Delete(s.ctx, b.Index))
		}
	})
	b, ok := s.bond()
	if !ok {
		s.Fatal("the bond is not there")
	}
	return b
}

func (s *session) bond() (host.Bond, bool) {
	s.Helper()
	list, err := s.h.Bonds.List(s.ctx)
	s.must(err)
	i := slices.IndexFunc(list, func(b host.Bond) bool { return b.Name == bondName })
	if i < 0 {
		return host.Bond{}, false
	}
	return list[i], true
}

// joins puts the PF into a bond.
func (s *session) joins(b host.Bond) {
	s.Helper()
	s.must(s.h.Links.SetUp(s.ctx, s.pfLink().Index, false))
	s.must(s.h.Bonds.SetMaster(s.ctx, s.pfLink().Index, b.Index))
}

func makesBond(s *session) {
	b := s.makeBond(allOptions)
	if b.BondOptions != allOptions || b.Up || b.MTU != 1500 || len(b.Members) != 0 {
		s.Errorf("bond is %+v", b)
	}
	links := s.links(func(l host.Link) bool { return l.Index == b.Index })
	if len(links) != 1 || links[0].Kind != host.KindBond || links[0].Name != bondName {
		s.Errorf("link is %+v", links)
	}
	s.must(s.h.Bonds.Delete(s.ctx, b.Index))
	if _, ok := s.bond(); ok {
		s.Error("the bond is still there")
	}
}

func bondNameTaken(s *session) {
	s.makeBond(allOptions)
	s.refused(s.h.Bonds.Create(s.ctx, bondName, allOptions), syscall.EEXIST)
	s.refused(s.h.Bonds.Create(s.ctx, s.pfLink().Name, allOptions), syscall.EEXIST)
}

func lacpRateRefused(s *session) {
	s.refused(s.h.Bonds.Create(s.ctx, bondName, host.BondOptions{Mode: "active-backup", LACPRate: "fast"}), syscall.EACCES)
	if _, ok := s.bond(); ok {
		s.Error("the bond was made")
	}
}

func memberUp(s *session) {
	b := s.makeBond(allOptions)
	s.refusedWith(s.h.Bonds.SetMaster(s.ctx, s.pfLink().Index, b.Index), syscall.EPERM, "Device can not be enslaved while up")
	if got := s.pfLink(); got.MasterIndex != 0 || !got.Up {
		s.Errorf("the PF is %+v", got)
	}
}

func bondMember(s *session) {
	before := s.pfLink()
	b := s.makeBond(allOptions)
	s.must(s.h.Links.SetMTU(s.ctx, b.Index, 2000))
	s.joins(b)
	if got := s.pfLink(); got.MasterIndex != b.Index || !got.Up || got.MTU != 2000 {
		s.Errorf("the member is %+v", got)
	}
	b, _ = s.bond()
	if len(b.Members) != 1 || b.Members[0].Index != before.Index || b.Members[0].Name != before.Name || b.MTU != 2000 {
		s.Errorf("bond is %+v", b)
	}
	s.must(s.h.Links.SetMTU(s.ctx, b.Index, 3000))
	if got := s.pfLink().MTU; got != 3000 {
		s.Errorf("the member's MTU is %d", got)
	}
	// Once more, and to where it is, changes nothing.
	s.must(s.h.Bonds.SetMaster(s.ctx, before.Index, b.Index))
	s.must(s.h.Bonds.SetMaster(s.ctx, before.Index, 0))
	if got := s.pfLink(); got.MasterIndex != 0 || got.Up || got.MTU != before.MTU || got.MAC != before.MAC {
		s.Errorf("after its release: %+v, before: %+v", got, before)
	}
	s.must(s.h.Bonds.SetMaster(s.ctx, before.Index, 0))
	s.joins(b)
	s.must(s.h.Bonds.Delete(s.ctx, b.Index))
	if got := s.pfLink(); got.MasterIndex != 0 {
		s.Errorf("after its bond was deleted: %+v", got)
	}
}

func bondOptions(s *session) {
	b := s.makeBond(host.BondOptions{Mode: "802.3ad"})
	if b.MiimonMilliseconds != 100 || b.XmitHashPolicy != "layer2" || b.LACPRate != "slow" {
		s.Errorf("defaults are %+v", b.BondOptions)
	}
	s.must(s.h.Links.SetUp(s.ctx, b.Index, true))
	s.refused(s.h.Bonds.SetOptions(s.ctx, b.Index, host.BondOptions{Mode: "active-backup"}), syscall.EBUSY)
	s.refused(s.h.Bonds.SetOptions(s.ctx, b.Index, host.BondOptions{LACPRate: "fast"}), syscall.EBUSY)
	s.joins(b)
	s.refused(s.h.Bonds.SetOptions(s.ctx, b.Index, host.BondOptions{Mode: "802.3ad"}), syscall.ENOTEMPTY)
	s.must(s.h.Bonds.SetOptions(s.ctx, b.Index, host.BondOptions{MiimonMilliseconds: 70, XmitHashPolicy: "encap3+4"}))
	s.must(s.h.Links.SetUp(s.ctx, b.Index, false))
	s.must(s.h.Bonds.SetOptions(s.ctx, b.Index, host.BondOptions{LACPRate: "fast"}))
	s.must(s.h.Bonds.SetMaster(s.ctx, s.pfLink().Index, 0))
	s.must(s.h.Bonds.SetOptions(s.ctx, b.Index, host.BondOptions{Mode: "balance-xor"}))
	want := host.BondOptions{Mode: "balance-xor", MiimonMilliseconds: 70, XmitHashPolicy: "encap3+4", LACPRate: "fast"}
	if b, _ := s.bond(); b.BondOptions != want {
		s.Errorf("options are %+v, want %+v", b.BondOptions, want)
	}
}

func bondGone(s *session) {
	s.refused(s.h.Bonds.SetOptions(s.ctx, noIndex, allOptions), syscall.ENODEV)
	s.refused(s.h.Bonds.SetMaster(s.ctx, noIndex, 0), syscall.ENODEV)
	s.refused(s.h.Bonds.Delete(s.ctx, noIndex), syscall.ENODEV)
	s.refused(s.h.Bonds.SetMaster(s.ctx, s.pfLink().Index, noIndex), syscall.EINVAL)
}

func noBonding(s *session) {
	s.refused(s.h.Bonds.Create(s.ctx, bondName, allOptions), syscall.EOPNOTSUPP)
}
