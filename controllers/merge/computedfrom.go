package merge

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// computedFromVersion changes when equal input starts to give another spec.
const computedFromVersion = "1"

// computedFrom hashes what the spec depends on: name and spec of the policies
// that select the node and ask for VFs, the facts of the inventory that
// selection uses, and the system settings. Other policies and the rest of the status
// (numVfs, MACs, blockers) leave it alone. The switch ID counts only for nodes
// with a bond, since it comes and goes with the eswitch mode that we set.
func (m *merger) computedFrom(system sriovv1.System) string {
	buf := make([]byte, 0, 1024)
	buf = appendString(buf, computedFromVersion)
	buf = appendString(buf, withPermission(system.RdmaMode, m.poolAllows))
	// The default leaves the hash as it was before there was another mode.
	if system.ConfigurationMode != "" {
		buf = appendString(buf, system.ConfigurationMode)
	}

	asking := make([]*policy, 0, len(m.policies))
	bonds := false
	for _, p := range m.policies {
		if p.asksForVFs() {
			asking = append(asking, p)
			bonds = bonds || p.bondKey != ""
		}
	}
	slices.SortFunc(asking, func(a, b *policy) int { return cmp.Compare(a.name, b.name) })
	buf = binary.AppendUvarint(buf, uint64(len(asking)))
	for _, p := range asking {
		buf = appendString(buf, p.name)
		buf = append(buf, p.digest[:]...)
	}
	for _, pf := range m.pfs {
		buf = appendPF(buf, pf, bonds)
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16])
}

func appendPF(buf []byte, pf *sriovv1.InterfaceStatus, bonds bool) []byte {
	buf = appendString(buf, pf.PCIAddress)
	buf = appendString(buf, pf.Name)
	buf = appendString(buf, pf.Vendor)
	buf = appendString(buf, pf.DeviceID)
	buf = appendString(buf, pf.LinkType)
	buf = appendString(buf, pf.NetFilter)
	if bonds {
		buf = appendString(buf, pf.SwitchID)
	}
	names := FurtherNames(pf)
	buf = binary.AppendUvarint(buf, uint64(len(names)))
	for _, name := range names {
		buf = appendString(buf, name)
	}
	return buf
}

// appendString appends the length first, so that no two lists of strings have one encoding.
func appendString(buf []byte, s string) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(s)))
	return append(buf, s...)
}
