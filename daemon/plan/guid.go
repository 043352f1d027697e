package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// guidLength is that of a GUID in text: eight bytes with colons in between.
const guidLength = 8*3 - 1

// validGUID tells whether a GUID is one that somebody has given: neither absent
// nor all zeros nor all ones.
func validGUID(guid string) bool {
	return strings.Trim(guid, "0:") != "" && strings.Trim(strings.ToLower(guid), "f:") != ""
}

// portGUID returns the GUID of a PF's port: the last eight bytes of the twenty of
// an IP over InfiniBand address. Empty when there is none.
func portGUID(address string) string {
	if len(address) != 20*3-1 {
		return ""
	}
	guid := address[len(address)-guidLength:]
	if !validGUID(guid) {
		return ""
	}
	return guid
}

// vfGUID is the GUID of a VF, made of its PF's so that it is the same after every
// reboot and on no other VF. A vendor's GUID is the port's MAC with two filling
// bytes in its middle, 03:00 on NVIDIA's cards and ff:fe elsewhere (EUI-64): the
// VF's index, from 1, takes their place. A PF's GUID that is not made like that is
// hashed together with the index. Either way it is marked as locally administered.
func vfGUID(pf string, index int) string {
	b, err := hex.DecodeString(strings.ReplaceAll(pf, ":", ""))
	if err != nil || len(b) != 8 {
		return ""
	}
	switch fill := [2]byte{b[3], b[4]}; {
	case index+1 <= 0xffff && (fill == [2]byte{3, 0} || fill == [2]byte{0xff, 0xfe}):
		b[3], b[4] = byte((index+1)>>8), byte(index+1)
	default:
		sum := sha256.Sum256(fmt.Appendf(nil, "%x/%d", b, index))
		b = sum[:8]
	}
	b[0] = b[0]&^1 | 2
	parts := make([]string, 0, len(b))
	for _, one := range b {
		parts = append(parts, fmt.Sprintf("%02x", one))
	}
	return strings.Join(parts, ":")
}
