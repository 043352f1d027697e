package plan

import (
	"fmt"
	"strings"
)

// BondOptions are options of a bond, in the kernel's spelling; an empty or zero
// one is left alone.
type BondOptions struct {
	Mode               string
	MiimonMilliseconds int
	XmitHashPolicy     string
	LACPRate           string
}

func (o BondOptions) String() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("mode", o.Mode)
	if o.MiimonMilliseconds > 0 {
		parts = append(parts, fmt.Sprintf("miimon %d", o.MiimonMilliseconds))
	}
	add("xmit_hash_policy", o.XmitHashPolicy)
	add("lacp_rate", o.LACPRate)
	return strings.Join(parts, ", ")
}

// BondOf is the bond that a step works on, and the PFs that it concerns.
type BondOf struct {
	Name string
	// PFs by PCI address, ordered; never empty.
	PFs []string
}

// CreateBond makes a bond, down, with all its options: some can be set only before
// the first member joins.
type CreateBond struct {
	BondOf
	Options BondOptions
}

// SetBond sets options of a bond, all of which the kernel takes in the state that
// the bond is in then.
type SetBond struct {
	BondOf
	Options BondOptions
	// Down tells that the bond is set down for it: its traffic is interrupted.
	Down bool
}

// SetBondMTU sets the MTU of a bond and of its members.
type SetBondMTU struct {
	BondOf
	MTU int
	// Lowers tells that the bond's MTU is larger now.
	Lowers bool
}

// SetBondUp sets a bond up.
type SetBondUp struct{ BondOf }

// DeleteBond deletes a bond.
type DeleteBond struct{ BondOf }

// ReleaseOther takes a netdev out of a bond that is none of the PFs it is for.
type ReleaseOther struct {
	BondOf
	Netdev string
}

// AwaitLAG waits until the NIC offloads the bond. It changes nothing.
type AwaitLAG struct{ BondOf }

// SetLinkDown sets the PF's netdev down: a bond takes no member that is up.
type SetLinkDown struct{ PF string }

// EnslaveMember makes the PF's netdev a member of a bond, which sets it up.
type EnslaveMember struct{ PF, Bond string }

// ReleaseMember takes the PF's netdev out of a bond. It is down afterwards.
type ReleaseMember struct{ PF, Bond string }

// Kind implements Step.
func (CreateBond) Kind() string    { return "CreateBond" }
func (SetBond) Kind() string       { return "SetBond" }
func (SetBondMTU) Kind() string    { return "SetBondMTU" }
func (SetBondUp) Kind() string     { return "SetBondUp" }
func (DeleteBond) Kind() string    { return "DeleteBond" }
func (ReleaseOther) Kind() string  { return "ReleaseOther" }
func (AwaitLAG) Kind() string      { return "AwaitLAG" }
func (SetLinkDown) Kind() string   { return "SetLinkDown" }
func (EnslaveMember) Kind() string { return "EnslaveMember" }
func (ReleaseMember) Kind() string { return "ReleaseMember" }

// Device implements Step: for a bond, the first of its PFs.
func (b BondOf) Device() string        { return b.PFs[0] }
func (s SetLinkDown) Device() string   { return s.PF }
func (s EnslaveMember) Device() string { return s.PF }
func (s ReleaseMember) Device() string { return s.PF }

// Devices are all PFs of the bond.
func (b BondOf) Devices() []string { return b.PFs }

// devices returns the PFs that a step concerns.
func devices(s Step) []string {
	if several, ok := s.(interface{ Devices() []string }); ok {
		return several.Devices()
	}
	return []string{s.Device()}
}

// The VFs of the members are unbound, by steps of their own, before members come
// and go. A bond that is down carries nothing of theirs.
func (s SetBond) touches() touched     { return touched{all: s.Down, link: s.Down} }
func (s SetBondMTU) touches() touched  { return touched{all: s.Lowers, link: true} }
func (DeleteBond) touches() touched    { return touched{link: true} }
func (SetLinkDown) touches() touched   { return touched{link: true} }
func (EnslaveMember) touches() touched { return touched{link: true} }
func (ReleaseMember) touches() touched { return touched{link: true} }
func (CreateBond) touches() touched    { return touched{} }
func (SetBondUp) touches() touched     { return touched{} }
func (ReleaseOther) touches() touched  { return touched{} }
func (AwaitLAG) touches() touched      { return touched{} }
func (s CreateBond) String() string    { return fmt.Sprintf("create bond %s with %s", s.Name, s.Options) }
func (s SetBondUp) String() string     { return fmt.Sprintf("set bond %s up", s.Name) }
func (s DeleteBond) String() string    { return "delete bond " + s.Name }
func (s AwaitLAG) String() string      { return "await VF-LAG of bond " + s.Name }
func (s SetLinkDown) String() string   { return s.PF + ": set link down" }
func (s EnslaveMember) String() string { return fmt.Sprintf("%s: put into bond %s", s.PF, s.Bond) }
func (s ReleaseMember) String() string { return fmt.Sprintf("%s: take out of bond %s", s.PF, s.Bond) }
func (s ReleaseOther) String() string  { return fmt.Sprintf("take %s out of bond %s", s.Netdev, s.Name) }

func (s SetBond) String() string {
	if s.Down {
		return fmt.Sprintf("set %s of bond %s, which is down meanwhile", s.Options, s.Name)
	}
	return fmt.Sprintf("set %s of bond %s", s.Options, s.Name)
}

func (s SetBondMTU) String() string {
	if s.Lowers {
		return fmt.Sprintf("lower MTU of bond %s to %d", s.Name, s.MTU)
	}
	return fmt.Sprintf("set MTU %d on bond %s", s.MTU, s.Name)
}
