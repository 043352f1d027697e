package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// Worse tells whether a disruption takes more than another one.
func Worse(a, b sriovv1.Disruption) bool { return rank(a) > rank(b) }

func rank(d sriovv1.Disruption) int {
	return slices.Index([]sriovv1.Disruption{
		sriovv1.DisruptionNone, sriovv1.DisruptionVFPods, sriovv1.DisruptionNode, sriovv1.DisruptionReboot,
	}, d)
}

// MayDisrupt is the disruption of a chain whoever uses the VFs that there are: it
// does not change while pods come and go.
func MayDisrupt(c Chain, observed inventory.Node) sriovv1.Disruption {
	for i := range observed.PFs {
		pf := &observed.PFs[i]
		if pf.NodeNetwork != "" && slices.Contains(c.PFs, pf.PCIAddress) && c.TouchesLink() {
			return sriovv1.DisruptionNode
		}
	}
	switch {
	case c.Reboots():
		return sriovv1.DisruptionReboot
	case TouchesVFs(c, observed):
		return sriovv1.DisruptionVFPods
	}
	return sriovv1.DisruptionNone
}

// Fingerprint identifies what a chain takes away and what for. It is the same
// while pods leave their VFs: steps that are only planned for VFs without a user
// do not count.
func Fingerprint(c Chain) string {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, strings.Join(c.PFs, " "), strings.Join(c.Wants, " "))
	for _, stage := range c.Stages {
		for _, s := range stage {
			if takes(s) {
				_, _ = fmt.Fprintln(h, s.String())
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// takes tells whether a step takes something from a user, and is planned whether or
// not there is one. Unbinding goes with the removal of VFs, and what is unbound
// already needs none.
func takes(s Step) bool {
	switch s.(type) {
	case SetVFMTU, SetVFAdminMAC, SetVFGUID, RebindVF, UnbindVF:
		return false
	case Reboot:
		// Its reasons name the arguments that the boot loader is told of before.
		return true
	}
	t := s.touches()
	return t.all || t.link || len(t.vfs) > 0
}

// HashOf identifies chains by their fingerprints; empty for none.
func HashOf(chains []Chain) string {
	if len(chains) == 0 {
		return ""
	}
	h := sha256.New()
	for i := range chains {
		_, _ = fmt.Fprintln(h, Fingerprint(chains[i]))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
